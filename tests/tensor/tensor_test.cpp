#include "tensor/tensor.h"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Shape, CountsElementsAndWritesItself) {
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ((Shape{2, 0}).elements(), 0);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((Shape{2, 3}).to_string(), "[2, 3]");
}

TEST(Shape, RefusesNegativeSizesAndTooManyDimensions) {
  EXPECT_THROW((Shape{2, -1}), Error);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1}), Error);
}

TEST(Shape, DiffersByRankEvenWithTheSameElements) { EXPECT_NE((Shape{6}), (Shape{6, 1})); }

Tensor counting(const Shape& shape) {
  Tensor tensor(shape);
  for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.f32()[i] = static_cast<float>(i);
  return tensor;
}

TEST(Tensor, StartsAtZeroAndAligned) {
  const Tensor tensor(Shape{3, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.f32()) % kTensorAlignment, 0U);
  for (const float value : tensor.floats()) EXPECT_EQ(value, 0.0F);
}

TEST(Tensor, WithoutElementsIsValid) {
  const Tensor tensor(Shape{0, 5});
  EXPECT_TRUE(tensor.floats().empty());
}

TEST(Tensor, OfAnotherTypeRefusesFloats) {
  Tensor tensor(Shape{2}, DType::kI32);
  EXPECT_THROW((void)tensor.f32(), Error);
  EXPECT_NO_THROW((void)tensor.i32());
}

TEST(TensorView, RowsKeepTheStrideOfTheWhole) {
  Tensor tensor = counting(Shape{4, 6});
  const TensorView rows = tensor.view().rows(1, 2);
  EXPECT_EQ(rows.shape(), (Shape{2, 6}));
  EXPECT_EQ(rows.f32()[0], 6.0F);
  EXPECT_TRUE(rows.contiguous());
}

TEST(TensorView, ColumnsAreStrided) {
  Tensor tensor = counting(Shape{4, 6});
  const TensorView columns = tensor.view().columns(2, 3);
  EXPECT_EQ(columns.shape(), (Shape{4, 3}));
  EXPECT_EQ(columns.row_stride(), 6);
  EXPECT_EQ(columns.f32()[columns.row_stride()], 8.0F);
  EXPECT_FALSE(columns.contiguous());
  EXPECT_THROW((void)columns.floats(), Error);
  EXPECT_THROW((void)columns.reshaped(Shape{12}), Error);
}

TEST(TensorView, RowsOfColumnsPointInsideTheWhole) {
  Tensor tensor = counting(Shape{4, 6});
  EXPECT_EQ(tensor.view().columns(2, 3).rows(3, 1).f32()[0], 20.0F);
}

TEST(TensorView, RowsOfHigherRankKeepTheOtherSizes) {
  Tensor tensor = counting(Shape{3, 2, 2});
  const TensorView rows = tensor.view().rows(2, 1);
  EXPECT_EQ(rows.shape(), (Shape{1, 2, 2}));
  EXPECT_EQ(rows.f32()[0], 8.0F);
}

TEST(TensorView, RefusesRangesOutside) {
  Tensor tensor(Shape{4, 6});
  EXPECT_THROW((void)tensor.view().rows(3, 2), Error);
  EXPECT_THROW((void)tensor.view().rows(-1, 2), Error);
  EXPECT_THROW((void)tensor.view().columns(4, 3), Error);
  EXPECT_THROW((void)tensor.view().reshaped(Shape{5, 5}), Error);
}

TEST(TensorView, ReshapesContiguousElements) {
  Tensor tensor = counting(Shape{4, 6});
  const TensorView view = tensor.view().reshaped(Shape{8, 3});
  EXPECT_EQ(view.row_stride(), 3);
  EXPECT_EQ(view.f32()[7 * 3], 21.0F);
}

TEST(TensorView, OfOneRowIsContiguousWhateverItsStride) {
  Tensor tensor = counting(Shape{4, 6});
  EXPECT_TRUE(tensor.view().columns(1, 2).rows(2, 1).contiguous());
}

}  // namespace
}  // namespace troupe
