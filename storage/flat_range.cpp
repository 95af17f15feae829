#include "storage/flat_range.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"

namespace troupe::storage {
namespace {

std::int64_t product(std::span<const std::int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>{});
}

/// Appends the boxes of a range inside the sub-tensor whose leading indices are `row.start[0..dimension)`.
void split(std::span<const std::int64_t> sizes, std::size_t dimension, std::int64_t begin, std::int64_t count,
           Block row, std::vector<Block>& blocks) {
  const std::int64_t inner = product(sizes.subspan(dimension + 1));
  const std::int64_t head = std::min(count, (inner - begin % inner) % inner);
  if (head > 0) {
    row.start[dimension] = begin / inner;
    split(sizes, dimension + 1, begin % inner, head, row, blocks);
  }
  const std::int64_t first_row = (begin + head) / inner;
  const std::int64_t full_rows = (count - head) / inner;
  if (full_rows > 0) {
    Block full = row;
    full.start[dimension] = first_row;
    full.count[dimension] = full_rows;
    std::ranges::copy(sizes.subspan(dimension + 1),
                      full.count.begin() + static_cast<std::ptrdiff_t>(dimension) + 1);
    blocks.push_back(std::move(full));
  }
  const std::int64_t tail = count - head - full_rows * inner;
  if (tail > 0) {
    row.start[dimension] = first_row + full_rows;
    split(sizes, dimension + 1, 0, tail, row, blocks);
  }
}

}  // namespace

std::int64_t Block::elements() const { return product(count); }

std::vector<Block> flat_range_blocks(std::span<const std::int64_t> sizes, std::int64_t begin,
                                     std::int64_t count) {
  const std::int64_t elements = product(sizes);
  TROUPE_CHECK(!sizes.empty() && begin >= 0 && count >= 0 && begin <= elements && count <= elements - begin,
               "elements {}+{} of a tensor of {}", begin, count, elements);
  std::vector<Block> blocks;
  if (count == 0) return blocks;
  const Block origin{std::vector<std::int64_t>(sizes.size(), 0), std::vector<std::int64_t>(sizes.size(), 1)};
  split(sizes, 0, begin, count, origin, blocks);
  return blocks;
}

}  // namespace troupe::storage
