#include "tensor/ops/tile_product/tile_product.h"

#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

// Every number of rows and of columns that takes another path through the register blocks.
TEST(TileProduct, AgreesWithPlainLoopsForEveryShapeAndStart) {
  constexpr std::int64_t kInner = 9;
  const auto scale = random_values<float>(70, 4);
  for (const Start start : {Start::kZero, Start::kSum, Start::kScaledSum}) {
    for (std::int64_t rows = 1; rows <= 14; ++rows) {
      for (std::int64_t columns = 1; columns <= 70; columns += 3) {
        const auto a = StridedMatrix::random(kInner, rows, 1);  // transposed by its strides
        const auto b = StridedMatrix::random(kInner, columns, 2);
        auto c = StridedMatrix::random(rows, columns, 3);
        auto expected = c.copy();
        tile_product(start,
                     {a.matrix().data, 1, a.matrix().stride, b.matrix().data, b.matrix().stride, kInner},
                     scale.data(), rows, columns, c.matrix().data, c.matrix().stride);
        for (std::int64_t i = 0; i < rows; ++i) {
          for (std::int64_t j = 0; j < columns; ++j) {
            float& sum = expected.at(i, j);
            if (start == Start::kZero) sum = 0.0F;
            if (start == Start::kScaledSum) sum *= scale[static_cast<std::size_t>(j)];
            for (std::int64_t p = 0; p < kInner; ++p) sum += a.matrix()(p, i) * b.matrix()(p, j);
          }
        }
        testing::expect_near(c, expected, 1e-5F);
      }
    }
  }
}

TEST(TileProduct, GivesAnElementTheSameBitsInEveryShape) {
  const auto a = StridedMatrix::random(13, 40, 1);
  const auto b = StridedMatrix::random(40, 70, 2);
  StridedMatrix whole(13, 70);
  const auto multiply = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns,
                            float* c, std::int64_t stride) {
    tile_product(Start::kZero,
                 {a.matrix().row(row), a.matrix().stride, 1, b.matrix().data + column, b.matrix().stride, 40},
                 nullptr, rows, columns, c, stride);
  };
  multiply(0, 13, 0, 70, whole.matrix().data, whole.matrix().stride);
  for (std::int64_t i = 0; i < 13; ++i) {
    for (std::int64_t j = 0; j < 70; ++j) {
      float alone = 0.0F;
      multiply(i, 1, j, 1, &alone, 1);
      ASSERT_EQ(alone, whole.at(i, j)) << "at [" << i << ", " << j << "]";
    }
  }
}

TEST(TransposeTile, MovesEveryElementAndNothingElse) {
  for (std::int64_t rows = 1; rows <= 9; ++rows) {
    for (std::int64_t columns = 1; columns <= 9; ++columns) {
      const auto source = StridedMatrix::random(rows, columns, 1);
      StridedMatrix target(columns, rows);
      transpose_tile(source.matrix().data, source.matrix().stride, rows, columns, 2.0F, target.matrix().data,
                     target.matrix().stride);
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < columns; ++j) ASSERT_EQ(target.at(j, i), 2.0F * source.matrix()(i, j));
      }
      EXPECT_TRUE(target.gaps_untouched());
    }
  }
}

TEST(CopyTile, ClosesTheGaps) {
  const auto source = StridedMatrix::random(5, 37, 1);
  std::vector<float> target(5 * 37);
  copy_tile(source.matrix().data, source.matrix().stride, 5, 37, 0.5F, target.data());
  for (std::int64_t i = 0; i < 5; ++i) {
    for (std::int64_t j = 0; j < 37; ++j) {
      ASSERT_EQ(target[static_cast<std::size_t>(i * 37 + j)], 0.5F * source.matrix()(i, j));
    }
  }
}

}  // namespace
}  // namespace troupe::ops
