#pragma once
#include <cstdint>

namespace troupe {

/// Where memory lies and where a worker computes.
enum class DeviceKind : std::uint8_t { kCpu, kCuda };

}  // namespace troupe
