#include "tensor/ops/swiglu/swiglu.h"

#include <cmath>

#include "tensor/ops/swiglu/swiglu_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

TEST(SwigluReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kSize = 4;
  auto gate_up = random_values<double>(3 * 2 * kSize, 1);
  auto dy = random_values<double>(3 * kSize, 2);
  std::vector<double> y(dy.size());
  const auto loss = [&] {
    reference::swiglu_forward<double>(testing::matrix_of(gate_up, 2 * kSize), testing::matrix_of(y, kSize));
    return testing::dot(y, dy);
  };
  std::vector<double> gradient(gate_up.size());
  reference::swiglu_backward<double>(testing::matrix_of(dy, kSize), testing::matrix_of(gate_up, 2 * kSize),
                                     testing::matrix_of(gradient, 2 * kSize));
  testing::expect_gradient(loss, gate_up, gradient);
}

class SwigluTest : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {
 protected:
  std::int64_t rows_ = GetParam().first;
  std::int64_t size_ = GetParam().second;
  StridedMatrix gate_up_ = StridedMatrix::random(rows_, 2 * size_, 1);
  StridedMatrix dy_ = StridedMatrix::random(rows_, size_, 2);
};

TEST_P(SwigluTest, AgreesWithTheReference) {
  StridedMatrix y(rows_, size_);
  StridedMatrix expected_y(rows_, size_);
  StridedMatrix gradient(rows_, 2 * size_);
  StridedMatrix expected_gradient(rows_, 2 * size_);
  swiglu_forward(Execution{1}, gate_up_.view(), y.view());
  swiglu_backward(Execution{1}, dy_.view(), gate_up_.view(), gradient.view());
  reference::swiglu_forward<float>(gate_up_.matrix(), expected_y.matrix());
  reference::swiglu_backward<float>(dy_.matrix(), gate_up_.matrix(), expected_gradient.matrix());
  testing::expect_near(y, expected_y, 1e-6F);
  testing::expect_near(gradient, expected_gradient, 1e-6F);
}

TEST_P(SwigluTest, GivesTheSameBitsForEveryNumberOfThreadsAndInPlace) {
  StridedMatrix y(rows_, size_);
  StridedMatrix gradient(rows_, 2 * size_);
  swiglu_forward(Execution{1}, gate_up_.view(), y.view());
  swiglu_backward(Execution{1}, dy_.view(), gate_up_.view(), gradient.view());
  for (const int threads : {2, 3}) {
    StridedMatrix other_y(rows_, size_);
    auto in_place = gate_up_.copy();
    swiglu_forward(Execution{threads}, gate_up_.view(), other_y.view());
    swiglu_backward(Execution{threads}, dy_.view(), in_place.view(), in_place.view());
    EXPECT_TRUE(other_y.same_bits(y));
    EXPECT_TRUE(in_place.same_bits(gradient));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SwigluTest,
                         ::testing::Values(std::pair{1, 1}, std::pair{13, 31}, std::pair{300, 256},
                                           std::pair{0, 8}));

TEST(Swiglu, StaysFiniteForLargeGates) {
  auto gate_up = StridedMatrix::random(1, 6, 1);
  const float gates[] = {-1000.0F, 1000.0F, 0.0F};
  for (int i = 0; i < 3; ++i) gate_up.at(0, i) = gates[i];
  for (int i = 3; i < 6; ++i) gate_up.at(0, i) = 2.0F;
  StridedMatrix y(1, 3);
  swiglu_forward(Execution{1}, gate_up.view(), y.view());
  EXPECT_EQ(y.at(0, 0), 0.0F);
  EXPECT_EQ(y.at(0, 1), 2000.0F);
  EXPECT_EQ(y.at(0, 2), 0.0F);
}

TEST(Swiglu, DoesNotHideNotANumber) {
  auto gate_up = StridedMatrix::random(1, 4, 1);
  gate_up.at(0, 1) = std::nanf("");
  StridedMatrix y(1, 2);
  swiglu_forward(Execution{1}, gate_up.view(), y.view());
  EXPECT_TRUE(std::isnan(y.at(0, 1)));
  EXPECT_FALSE(std::isnan(y.at(0, 0)));
}

}  // namespace
}  // namespace troupe::ops
