#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::workers {

/// Which of a layer's source experts each of `experts` target experts copies; target ids are the indices.
///   as many as the source: itself.
///   more: j mod N of the N source experts; when N does not divide `experts`, the last experts mod N ones
///     copy the most loaded, heaviest first.
///   fewer: the most loaded are kept, in the order of their ids.
/// Among equally loaded ones the lower id comes first.
///   loads: [N], tokens of the last global batch; experts ≥ 1
[[nodiscard]] std::vector<std::int64_t> map_experts(std::span<const std::int64_t> loads,
                                                    std::int64_t experts);

}  // namespace troupe::workers
