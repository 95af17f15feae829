#include <optional>

#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/elementwise/elementwise_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

/// tokens × top_k slots that use every routed row at most once, in a shuffled order; every seventh is
/// dropped.
testing::Integers shuffled_slots(std::int64_t tokens, std::int64_t top_k) {
  std::vector<std::int32_t> slots;
  const std::int64_t count = tokens * top_k;
  for (std::int64_t i = 0; i < count; ++i) {
    slots.push_back(i % 7 == 6 ? -1 : static_cast<std::int32_t>(count - 1 - i));
  }
  return {Shape{tokens, top_k}, slots};
}

TEST(CombineReference, GradientsAgreeWithCentralDifferences) {
  constexpr std::int64_t kTokens = 4;
  constexpr std::int64_t kTopK = 2;
  constexpr std::int64_t kHidden = 3;
  const auto slots_storage = shuffled_slots(kTokens, kTopK);
  const auto slots = integer_matrix(slots_storage.view());
  auto y = random_values<double>(kTokens * kTopK * kHidden, 1);
  auto weights = random_values<double>(kTokens * kTopK, 2);
  auto dout = random_values<double>(kTokens * kHidden, 3);
  std::vector<double> out(dout.size());
  const auto loss = [&] {
    reference::combine_rows<double>(testing::matrix_of(y, kHidden), slots, testing::matrix_of(weights, kTopK),
                                    {}, testing::matrix_of(out, kHidden));
    return testing::dot(out, dout);
  };
  std::vector<double> dy(y.size());
  std::vector<double> dweights(weights.size());
  reference::combine_rows_backward<double>(testing::matrix_of(dout, kHidden), testing::matrix_of(y, kHidden),
                                           slots, testing::matrix_of(weights, kTopK),
                                           testing::matrix_of(dy, kHidden),
                                           testing::matrix_of(dweights, kTopK));
  testing::expect_gradient(loss, y, dy);
  testing::expect_gradient(loss, weights, dweights);
}

// The gradient of gathering is the transposed map: <gather(x), d> = <x, scatter(d)>.
TEST(ScatterReference, IsTheTransposeOfGathering) {
  constexpr std::int64_t kHidden = 3;
  const auto slots_storage = shuffled_slots(4, 2);
  const auto slots = integer_matrix(slots_storage.view());
  auto x = random_values<double>(4 * kHidden, 1);
  auto dgathered = random_values<double>(8 * kHidden, 2);
  const auto loss = [&] {
    double total = 0;
    for (std::int64_t t = 0; t < 4; ++t) {
      for (std::int64_t s = 0; s < 2; ++s) {
        if (slots(t, s) < 0) continue;
        for (std::int64_t j = 0; j < kHidden; ++j) {
          total += x[static_cast<std::size_t>(t * kHidden + j)] *
                   dgathered[static_cast<std::size_t>(slots(t, s) * kHidden + j)];
        }
      }
    }
    return total;
  };
  std::vector<double> dx(x.size());
  reference::scatter_slots_add<double>(testing::matrix_of(dgathered, kHidden), slots,
                                       testing::matrix_of(dx, kHidden));
  testing::expect_gradient(loss, x, dx);
}

class SlotsTest : public ::testing::TestWithParam<std::tuple<std::int64_t, std::int64_t, std::int64_t>> {
 protected:
  std::int64_t tokens_ = std::get<0>(GetParam());
  std::int64_t top_k_ = std::get<1>(GetParam());
  std::int64_t hidden_ = std::get<2>(GetParam());
  testing::Integers slots_ = shuffled_slots(tokens_, top_k_);
  StridedMatrix y_ = StridedMatrix::random(tokens_ * top_k_, hidden_, 1);
  StridedMatrix weights_ = StridedMatrix::random(tokens_, top_k_, 2);
  StridedMatrix base_ = StridedMatrix::random(tokens_, hidden_, 3);
  StridedMatrix dout_ = StridedMatrix::random(tokens_, hidden_, 4);
};

TEST_P(SlotsTest, CombineAgreesWithTheReferenceForEveryNumberOfThreads) {
  for (const bool with_base : {false, true}) {
    std::optional<StridedMatrix> once;
    for (const int threads : {1, 2, 3}) {
      StridedMatrix out(tokens_, hidden_);
      StridedMatrix expected(tokens_, hidden_);
      const ConstTensorView base = with_base ? std::as_const(base_).view() : ConstTensorView();
      combine_rows(Execution{threads}, y_.view(), slots_.view(), weights_.view(), base, out.view());
      reference::combine_rows<float>(y_.matrix(), integer_matrix(slots_.view()), weights_.matrix(),
                                     with_base ? base_.matrix() : Matrix<float>{}, expected.matrix());
      testing::expect_near(out, expected, 1e-6F);
      if (!once) once = out.copy();
      EXPECT_TRUE(out.same_bits(*once));
    }
  }
}

TEST_P(SlotsTest, CombineBackwardAgreesWithTheReferenceForEveryNumberOfThreads) {
  std::optional<StridedMatrix> once;
  for (const int threads : {1, 2, 3}) {
    StridedMatrix dy(tokens_ * top_k_, hidden_);
    StridedMatrix dweights(tokens_, top_k_);
    auto expected_dy = dy.copy();
    auto expected_dweights = dweights.copy();
    combine_rows_backward(Execution{threads}, dout_.view(), y_.view(), slots_.view(), weights_.view(),
                          dy.view(), dweights.view());
    reference::combine_rows_backward<float>(dout_.matrix(), y_.matrix(), integer_matrix(slots_.view()),
                                            weights_.matrix(), expected_dy.matrix(),
                                            expected_dweights.matrix());
    EXPECT_TRUE(dy.same_bits(expected_dy));
    testing::expect_near(dweights, expected_dweights, 1e-4F);
    if (!once) once = dweights.copy();
    EXPECT_TRUE(dweights.same_bits(*once));
  }
}

TEST_P(SlotsTest, ScatterAddsSlotsInOrder) {
  for (const int threads : {1, 2, 3}) {
    auto dx = base_.copy();
    auto expected = base_.copy();
    scatter_slots_add(Execution{threads}, y_.view(), slots_.view(), dx.view());
    reference::scatter_slots_add<float>(y_.matrix(), integer_matrix(slots_.view()), expected.matrix());
    EXPECT_TRUE(dx.same_bits(expected));
  }
}

TEST_P(SlotsTest, SlotProductsAreAddedWhereASlotIsNotEmpty) {
  std::optional<StridedMatrix> once;
  for (const int threads : {1, 2, 3}) {
    auto out = weights_.copy();
    auto expected = weights_.copy();
    add_slot_products(Execution{threads}, dout_.view(), y_.view(), slots_.view(), out.view());
    reference::add_slot_products<float>(dout_.matrix(), y_.matrix(), integer_matrix(slots_.view()),
                                        expected.matrix());
    testing::expect_near(out, expected, 1e-4F);
    if (!once) once = out.copy();
    EXPECT_TRUE(out.same_bits(*once));
  }
}

TEST_P(SlotsTest, CombineMayAddToItsOwnOutput) {
  auto out = base_.copy();
  StridedMatrix apart(tokens_, hidden_);
  combine_rows(Execution{2}, y_.view(), slots_.view(), weights_.view(), out.view(), out.view());
  combine_rows(Execution{2}, y_.view(), slots_.view(), weights_.view(), base_.view(), apart.view());
  EXPECT_TRUE(out.same_bits(apart));
}

TEST_P(SlotsTest, GatherCopiesTheNamedRows) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; i < 2 * tokens_; ++i) rows.push_back(static_cast<std::int32_t>(i * 5 % tokens_));
  const testing::Integers indices(Shape{2 * tokens_}, rows);
  StridedMatrix out(2 * tokens_, hidden_);
  gather_rows(Execution{2}, base_.view(), indices.view(), out.view());
  for (std::int64_t i = 0; i < 2 * tokens_; ++i) {
    for (std::int64_t j = 0; j < hidden_; ++j) {
      ASSERT_EQ(out.at(i, j), base_.at(rows[static_cast<std::size_t>(i)], j));
    }
  }
  EXPECT_TRUE(out.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(Shapes, SlotsTest,
                         ::testing::Values(std::tuple{1, 1, 1}, std::tuple{29, 3, 37},
                                           std::tuple{150, 2, 256}, std::tuple{0, 2, 8}));

TEST(Slots, RefusesRowsThatDoNotExist) {
  const StridedMatrix y(4, 8);
  const StridedMatrix weights(1, 1);
  StridedMatrix out(1, 8);
  for (const std::int32_t slot : {4, -2}) {
    const testing::Integers slots(Shape{1, 1}, {slot});
    EXPECT_THROW(
        combine_rows(Execution{1}, y.view(), slots.view(), weights.view(), ConstTensorView(), out.view()),
        Error);
  }
  const testing::Integers rows(Shape{1}, {-1});
  EXPECT_THROW(gather_rows(Execution{1}, y.view(), rows.view(), out.view()), Error);
}

}  // namespace
}  // namespace troupe::ops
