#pragma once
#include <cstdint>

namespace troupe::workers {

/// Physical memory of this process, from /proc/self/statm; 0 where there is none.
[[nodiscard]] std::int64_t resident_bytes();

/// Physical memory of this machine that can be taken without swapping, from /proc/meminfo; 0 where there is
/// none.
[[nodiscard]] std::int64_t available_bytes();

}  // namespace troupe::workers
