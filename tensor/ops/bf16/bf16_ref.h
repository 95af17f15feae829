#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace troupe::ops::reference {

/// The nearest bf16 value, by comparing the two neighbours; among equally near ones that with an even
/// last bit.
inline float nearest_bf16(float value) {
  if (!std::isfinite(value)) return value;
  const std::uint32_t below = std::bit_cast<std::uint32_t>(value) & 0xFFFF0000U;
  const double low = std::bit_cast<float>(below);
  // Beyond the largest bf16 value comes infinity; it counts as the next power of two.
  const float next = std::bit_cast<float>(below + 0x10000U);
  const double high = std::isinf(next) ? std::copysign(0x1p128, low) : static_cast<double>(next);
  const double to_low = std::abs(value - low);
  const double to_high = std::abs(high - value);
  if (to_low != to_high) return to_low < to_high ? static_cast<float>(low) : next;
  return (below & 0x10000U) == 0 ? static_cast<float>(low) : next;
}

}  // namespace troupe::ops::reference
