#pragma once
#include <cstdint>

namespace troupe::workers {

/// Physical memory of this process, from /proc/self/statm; 0 where there is none.
[[nodiscard]] std::int64_t resident_bytes();

}  // namespace troupe::workers
