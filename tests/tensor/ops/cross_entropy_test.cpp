#include "tensor/ops/cross_entropy/cross_entropy.h"

#include <cmath>
#include <numeric>

#include "tensor/ops/cross_entropy/cross_entropy_ref.h"
#include "tests/tensor/op_testing.h"

namespace troupe::ops {
namespace {

using testing::random_values;
using testing::StridedMatrix;

TEST(CrossEntropyReference, GradientAgreesWithCentralDifferences) {
  constexpr std::int64_t kVocab = 5;
  constexpr double kScale = 0.7;
  constexpr double kZLoss = 0.3;
  const std::vector<std::int32_t> targets{2, -1, 4, 0};
  auto logits = random_values<double>(4 * kVocab, 1);
  std::vector<double> nll(4);
  std::vector<double> log_z(4);
  const auto loss = [&] {
    reference::cross_entropy_forward<double>(testing::matrix_of(logits, kVocab), targets, nll, log_z);
    double total = 0;
    for (std::size_t i = 0; i < 4; ++i) total += kScale * (nll[i] + kZLoss * log_z[i] * log_z[i]);
    return total;
  };
  auto gradient = logits;
  reference::cross_entropy_forward_backward<double>(testing::matrix_of(gradient, kVocab), targets, kScale,
                                                    kZLoss, nll, log_z);
  testing::expect_gradient(loss, logits, gradient);
}

struct Results {
  std::vector<double> nll, log_z;
};

class CrossEntropyTest : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {
 protected:
  static constexpr float kScale = 0.25F;
  static constexpr float kZLoss = 1e-2F;
  std::int64_t rows_ = GetParam().first;
  std::int64_t vocab_ = GetParam().second;
  StridedMatrix logits_ = [this] {
    auto logits = StridedMatrix::random(rows_, vocab_, 1);
    for (std::int64_t i = 0; i < rows_ * vocab_; ++i) logits.at(i / vocab_, i % vocab_) *= 20.0F;
    return logits;
  }();
  testing::Integers targets_ = [this] {
    std::vector<std::int32_t> values;
    for (std::int64_t r = 0; r < rows_; ++r)
      values.push_back(r % 5 == 3 ? -1 : static_cast<std::int32_t>(r * 31 % vocab_));
    return testing::Integers(Shape{rows_}, values);
  }();

  Results sums() const {
    return {std::vector<double>(static_cast<std::size_t>(rows_), -1),
            std::vector<double>(static_cast<std::size_t>(rows_), -1)};
  }
  Results backward(int threads, StridedMatrix& logits) const {
    Results results = sums();
    cross_entropy_forward_backward(Execution{threads}, logits.view(), targets_.view(), kScale, kZLoss,
                                   results.nll, results.log_z);
    return results;
  }
};

TEST_P(CrossEntropyTest, AgreesWithTheReference) {
  auto gradient = logits_.copy();
  const Results actual = backward(1, gradient);
  auto expected_gradient = logits_.copy();
  Results expected = sums();
  reference::cross_entropy_forward_backward<float>(expected_gradient.matrix(), targets_.span(), kScale,
                                                   kZLoss, expected.nll, expected.log_z);
  testing::expect_near(gradient, expected_gradient, 2e-6F);
  for (std::size_t i = 0; i < actual.nll.size(); ++i) {
    EXPECT_NEAR(actual.nll[i], expected.nll[i], 1e-5);
    EXPECT_NEAR(actual.log_z[i], expected.log_z[i], 1e-5);
  }
}

TEST_P(CrossEntropyTest, ForwardGivesTheSameSumsAndKeepsTheLogits) {
  auto gradient = logits_.copy();
  const Results with_gradient = backward(1, gradient);
  const auto before = logits_.copy();
  Results results = sums();
  cross_entropy_forward(Execution{1}, logits_.view(), targets_.view(), results.nll, results.log_z);
  EXPECT_EQ(results.nll, with_gradient.nll);
  EXPECT_EQ(results.log_z, with_gradient.log_z);
  EXPECT_TRUE(logits_.same_bits(before));
}

TEST_P(CrossEntropyTest, GivesTheSameBitsForEveryNumberOfThreads) {
  auto once = logits_.copy();
  const Results expected = backward(1, once);
  for (const int threads : {2, 3}) {
    auto gradient = logits_.copy();
    const Results results = backward(threads, gradient);
    EXPECT_TRUE(gradient.same_bits(once));
    EXPECT_EQ(results.nll, expected.nll);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, CrossEntropyTest,
                         ::testing::Values(std::pair{1, 1}, std::pair{9, 37}, std::pair{40, 1000},
                                           std::pair{0, 8}));

TEST(CrossEntropy, SurvivesLogitsThatWouldOverflowWhereverTheyAre) {
  for (std::int64_t place = 0; place < 140; ++place) {
    auto logits = StridedMatrix::random(1, 140, 1);
    logits.at(0, place) = 3e4F;
    const std::int64_t other = (place + 5) % 140;
    const testing::Integers target(Shape{1}, {static_cast<std::int32_t>(other)});
    std::vector<double> nll(1);
    std::vector<double> log_z(1);
    cross_entropy_forward_backward(Execution{1}, logits.view(), target.view(), 1.0F, 0.0F, nll, log_z);
    ASSERT_NEAR(nll[0], 3e4, 2.0) << place;
    ASSERT_EQ(logits.at(0, place), 1.0F) << place;
    ASSERT_EQ(logits.at(0, other), -1.0F) << place;
  }
}

TEST(CrossEntropy, DoesNotHideNotANumber) {
  for (const std::int64_t place : {0, 17, 39}) {
    auto logits = StridedMatrix::random(1, 40, 1);
    logits.at(0, place) = std::nanf("");
    const testing::Integers target(Shape{1}, {5});
    std::vector<double> nll(1);
    std::vector<double> log_z(1);
    cross_entropy_forward_backward(Execution{1}, logits.view(), target.view(), 1.0F, 0.0F, nll, log_z);
    EXPECT_TRUE(std::isnan(nll[0])) << place;
  }
}

TEST(CrossEntropy, RefusesATargetOutsideTheVocabulary) {
  const StridedMatrix logits(1, 4);
  std::vector<double> sums(1);
  const testing::Integers outside(Shape{1}, {4});
  EXPECT_THROW(cross_entropy_forward(Execution{1}, logits.view(), outside.view(), sums, sums), Error);
}

}  // namespace
}  // namespace troupe::ops
