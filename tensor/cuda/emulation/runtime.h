#pragma once
#include <cstdint>

namespace troupe::cuda::emulation {

/// Starts another random order of threads, blocks and queues.
void set_seed(std::uint64_t seed);

}  // namespace troupe::cuda::emulation
