#pragma once
#include <cstdint>
#include <span>

namespace troupe::experts {

/// Indices of the largest values, largest first; among equals the lower index first. NaN counts as
/// -infinity, so the indices are always distinct.
///   chosen: [k], k ≤ values.size(); scratch: [k]
void top_k(std::span<const float> values, std::span<std::int32_t> chosen, std::span<float> scratch);

}  // namespace troupe::experts
