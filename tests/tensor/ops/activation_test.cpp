#include "tensor/ops/activation/activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "tensor/ops/activation/activation_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

constexpr std::array kActivations{Activation::kSwiGlu,    Activation::kGeGlu,   Activation::kReGlu,
                                  Activation::kRelu2,     Activation::kGelu,    Activation::kClampedSwiGlu,
                                  Activation::kGeGluTanh, Activation::kGeluTanh};
constexpr std::array<const char*, 8> kNames{"swiglu", "geglu",          "reglu",      "relu2",
                                            "gelu",   "clamped_swiglu", "geglu_tanh", "gelu_tanh"};

class ActivationReference : public ::testing::TestWithParam<Activation> {};

TEST_P(ActivationReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kSize = 4;
  const std::int64_t columns = input_columns(GetParam()) * kSize;
  auto x = random_values<double>(3 * columns, 1);
  for (double& value : x) value *= 10.0;  // also beyond the clamps
  auto dy = random_values<double>(3 * kSize, 2);
  std::vector<double> y(dy.size());
  const auto loss = [&] {
    reference::activation_forward<double>(GetParam(), testing::matrix_of(x, columns),
                                          testing::matrix_of(y, kSize));
    return testing::dot(y, dy);
  };
  std::vector<double> gradient(x.size());
  reference::activation_backward<double>(GetParam(), testing::matrix_of(dy, kSize),
                                         testing::matrix_of(x, columns),
                                         testing::matrix_of(gradient, columns));
  testing::expect_gradient(loss, x, gradient);
}

const auto name_of_form = [](const auto& instance) {
  return std::string(kNames[static_cast<std::size_t>(instance.param)]);
};
INSTANTIATE_TEST_SUITE_P(Forms, ActivationReference, ::testing::ValuesIn(kActivations), name_of_form);

using Sizes = std::pair<std::int64_t, std::int64_t>;

class ActivationTest : public ::testing::TestWithParam<std::tuple<Activation, Sizes>> {
 protected:
  Activation activation_ = std::get<0>(GetParam());
  std::int64_t rows_ = std::get<1>(GetParam()).first;
  std::int64_t size_ = std::get<1>(GetParam()).second;
  std::int64_t columns_ = input_columns(activation_) * size_;
  StridedMatrix x_ = wide_inputs();
  StridedMatrix dy_ = StridedMatrix::random(rows_, size_, 2);

  /// In [-9, 9): on both sides of the clamps.
  [[nodiscard]] StridedMatrix wide_inputs() const {
    auto x = StridedMatrix::random(rows_, columns_, 1);
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t column = 0; column < columns_; ++column) x.at(row, column) *= 9.0F;
    }
    return x;
  }
};

TEST_P(ActivationTest, AgreesWithTheReference) {
  StridedMatrix y(rows_, size_);
  StridedMatrix expected_y(rows_, size_);
  StridedMatrix gradient(rows_, columns_);
  StridedMatrix expected_gradient(rows_, columns_);
  activation_forward(Execution{1}, activation_, x_.view(), y.view());
  activation_backward(Execution{1}, activation_, dy_.view(), x_.view(), gradient.view());
  reference::activation_forward<float>(activation_, x_.matrix(), expected_y.matrix());
  reference::activation_backward<float>(activation_, dy_.matrix(), x_.matrix(), expected_gradient.matrix());
  testing::expect_near(y, expected_y, 2e-5F);
  testing::expect_near(gradient, expected_gradient, 2e-5F);
}

TEST_P(ActivationTest, GivesTheSameBitsForEveryNumberOfThreadsAndInPlace) {
  StridedMatrix y(rows_, size_);
  StridedMatrix gradient(rows_, columns_);
  activation_forward(Execution{1}, activation_, x_.view(), y.view());
  activation_backward(Execution{1}, activation_, dy_.view(), x_.view(), gradient.view());
  for (const int threads : {2, 3}) {
    StridedMatrix other_y(rows_, size_);
    auto in_place = x_.copy();
    activation_forward(Execution{threads}, activation_, x_.view(), other_y.view());
    activation_backward(Execution{threads}, activation_, dy_.view(), in_place.view(), in_place.view());
    EXPECT_TRUE(other_y.same_bits(y));
    EXPECT_TRUE(in_place.same_bits(gradient));
  }
}

const auto name_of_form_and_shape = [](const auto& instance) {
  const Sizes sizes = std::get<1>(instance.param);
  return std::string(kNames[static_cast<std::size_t>(std::get<0>(instance.param))]) + "_" +
         std::to_string(sizes.first) + "x" + std::to_string(sizes.second);
};
INSTANTIATE_TEST_SUITE_P(FormsAndShapes, ActivationTest,
                         ::testing::Combine(::testing::ValuesIn(kActivations),
                                            ::testing::Values(Sizes{1, 1}, Sizes{13, 31}, Sizes{300, 256},
                                                              Sizes{0, 8})),
                         name_of_form_and_shape);

class ActivationOfOddValues : public ::testing::TestWithParam<Activation> {
 protected:
  /// Forward of one input, as gate with up = 2, or as up alone.
  [[nodiscard]] float of(float value) const {
    auto x = StridedMatrix::random(1, input_columns(GetParam()), 1);
    x.at(0, input_columns(GetParam()) - 1) = 2.0F;
    x.at(0, 0) = value;
    StridedMatrix y(1, 1);
    activation_forward(Execution{1}, GetParam(), x.view(), y.view());
    return y.at(0, 0);
  }
  [[nodiscard]] float slope_of(float value) const {
    auto x = StridedMatrix::random(1, input_columns(GetParam()), 1);
    x.at(0, input_columns(GetParam()) - 1) = 2.0F;
    x.at(0, 0) = value;
    StridedMatrix dy(1, 1);
    dy.at(0, 0) = 1.0F;
    activation_backward(Execution{1}, GetParam(), dy.view(), x.view(), x.view());
    return x.at(0, 0);
  }
};

TEST_P(ActivationOfOddValues, VanishesForLargeNegativeOnesAndStaysFiniteForPositiveOnes) {
  EXPECT_EQ(of(-1000.0F), 0.0F);
  EXPECT_EQ(slope_of(-1000.0F), 0.0F);
  EXPECT_EQ(of(0.0F), 0.0F);
  EXPECT_TRUE(std::isfinite(of(1000.0F)));
  EXPECT_TRUE(std::isfinite(slope_of(1000.0F)));
}

TEST_P(ActivationOfOddValues, DoesNotHideNotANumber) {
  EXPECT_TRUE(std::isnan(of(std::numeric_limits<float>::quiet_NaN())));
}

INSTANTIATE_TEST_SUITE_P(Forms, ActivationOfOddValues, ::testing::ValuesIn(kActivations), name_of_form);

TEST(Activation, OfGptOssFollowsItsFormulaInsideAndOutsideTheLimits) {
  // (gate, up) → (u + 1) g sigmoid(1.702 g) by hand, with g = min(gate, 7), u = clamp(up, -7, 7).
  const auto expected = [](double g, double u) { return (u + 1.0) * g / (1.0 + std::exp(-1.702 * g)); };
  auto x = StridedMatrix::random(1, 8, 1);
  const std::array<float, 8> values{0.5F, 9.0F, -9.0F, 1.0F, 0.25F, 2.0F, -8.0F, 8.0F};
  for (std::int64_t i = 0; i < 8; ++i) x.at(0, i) = values[static_cast<std::size_t>(i)];
  StridedMatrix y(1, 4);
  activation_forward(Execution{1}, Activation::kClampedSwiGlu, x.view(), y.view());
  EXPECT_NEAR(y.at(0, 0), expected(0.5, 0.25), 1e-6);
  EXPECT_NEAR(y.at(0, 1), expected(7.0, 2.0), 1e-5);
  EXPECT_NEAR(y.at(0, 2), expected(-9.0, -7.0), 1e-6);
  EXPECT_NEAR(y.at(0, 3), expected(1.0, 7.0), 1e-5);
}

TEST(Activation, GeluAndItsTanhFormAreTwoThings) {
  double most = 0.0;
  for (double x = -6.0; x <= 6.0; x += 0.01) {
    EXPECT_NEAR(reference::gelu(x), x / 2.0 * (1.0 + std::erf(x / std::sqrt(2.0))), 1e-14) << x;
    most = std::max(most, std::abs(reference::gelu(x) - reference::gelu_tanh(x)));
  }
  EXPECT_LT(most, 5e-4);
  EXPECT_GT(most, 3e-4) << "one is the other";
}

TEST(Activation, GeluKeepsTheRelativeAccuracyOfFloatsInItsTail) {
  for (float value = -5.0F; value <= 5.0F; value += 0.0625F) {
    auto x = StridedMatrix::random(1, 1, 1);
    x.at(0, 0) = value;
    StridedMatrix y(1, 1);
    activation_forward(Execution{1}, Activation::kGelu, x.view(), y.view());
    const double exact = reference::gelu(static_cast<double>(value));
    EXPECT_NEAR(y.at(0, 0), exact, 3e-6 * std::abs(exact)) << value;
  }
}

}  // namespace
}  // namespace troupe::ops
