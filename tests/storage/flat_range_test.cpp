#include "storage/flat_range.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace troupe::storage {
namespace {

using Sizes = std::vector<std::int64_t>;

/// Flat element numbers of a box, in row-major order.
void append_elements(const Sizes& sizes, const Block& block, std::size_t dimension, std::int64_t base,
                     std::vector<std::int64_t>& elements) {
  if (dimension == sizes.size()) {
    elements.push_back(base);
    return;
  }
  for (std::int64_t i = 0; i < block.count[dimension]; ++i) {
    append_elements(sizes, block, dimension + 1, base * sizes[dimension] + block.start[dimension] + i,
                    elements);
  }
}

TEST(FlatRange, BlocksCoverEveryRangeInOrderInAnyRank) {
  for (const Sizes& sizes : {Sizes{7}, Sizes{3, 5}, Sizes{2, 3, 4}, Sizes{3, 1, 2, 2}}) {
    std::int64_t elements = 1;
    for (const auto size : sizes) elements *= size;
    for (std::int64_t begin = 0; begin <= elements; ++begin) {
      for (std::int64_t count = 0; begin + count <= elements; ++count) {
        std::vector<std::int64_t> covered;
        const auto blocks = flat_range_blocks(sizes, begin, count);
        for (const Block& block : blocks) append_elements(sizes, block, 0, 0, covered);
        std::vector<std::int64_t> expected;
        for (std::int64_t i = 0; i < count; ++i) expected.push_back(begin + i);
        ASSERT_EQ(covered, expected) << begin << "+" << count;
        ASSERT_LE(blocks.size(), 2 * sizes.size() - 1);
      }
    }
  }
}

TEST(FlatRange, WholeTensorIsOneBlock) {
  EXPECT_EQ(flat_range_blocks(Sizes{2, 3, 4}, 0, 24), (std::vector<Block>{{{0, 0, 0}, {2, 3, 4}}}));
}

TEST(FlatRange, RefusesARangeOutside) {
  EXPECT_THROW((void)flat_range_blocks(Sizes{2, 3}, 4, 3), Error);
  EXPECT_THROW((void)flat_range_blocks(Sizes{2, 3}, -1, 1), Error);
}

}  // namespace
}  // namespace troupe::storage
