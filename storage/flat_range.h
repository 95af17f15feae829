#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace troupe::storage {

/// A box in an N-dimensional index space: `count[i]` indices from `start[i]` in dimension i.
struct Block {
  std::vector<std::int64_t> start;
  std::vector<std::int64_t> count;
  [[nodiscard]] std::int64_t elements() const;
  bool operator==(const Block&) const = default;
};

/// Elements [begin, begin + count) of a row-major tensor of these sizes as boxes, in element order:
/// at most 2·rank − 1 of them (partial row, full rows, partial row, in each dimension).
/// The range lies inside the tensor; throws kInternal otherwise.
[[nodiscard]] std::vector<Block> flat_range_blocks(std::span<const std::int64_t> sizes, std::int64_t begin,
                                                   std::int64_t count);

}  // namespace troupe::storage
