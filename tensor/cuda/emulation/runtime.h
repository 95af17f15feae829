#pragma once
#include <cstdint>

namespace troupe::cuda::emulation {

/// Starts another random order of threads, blocks and queues.
void set_seed(std::uint64_t seed);

/// How often memory, of the device or pinned, was asked for in this process.
[[nodiscard]] std::int64_t allocations();

}  // namespace troupe::cuda::emulation
