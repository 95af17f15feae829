#include "experts/router/score.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace troupe::experts {
namespace {

std::vector<float> scores(Score score, const std::vector<float>& z) {
  std::vector<float> s(z.size());
  score_function(score).forward(z, log_sum_exp(z), s);
  return s;
}

std::vector<float> gradient(Score score, const std::vector<float>& z, const std::vector<float>& ds) {
  std::vector<float> dz(z.size(), 0.0F);
  score_function(score).add_gradient(scores(score, z), ds, dz);
  return dz;
}

TEST(Score, SoftmaxSumsToOneAlsoOfLargeLogits) {
  const auto s = scores(Score::kSoftmax, {1000.0F, 999.0F, -1000.0F});
  EXPECT_NEAR(s[0], 1.0 / (1.0 + std::exp(-1.0)), 1e-4);  // logits of 1000 are 6e-5 apart
  EXPECT_NEAR(s[0] + s[1] + s[2], 1.0, 1e-4);
}

TEST(Score, SqrtSoftplusIsTheRootOfLogOnePlusExp) {
  const auto s = scores(Score::kSqrtSoftplus, {0.0F, 2.0F, -3.0F, 1000.0F});
  EXPECT_NEAR(s[0], std::sqrt(std::log(2.0)), 1e-6);
  EXPECT_NEAR(s[1], std::sqrt(std::log1p(std::exp(2.0))), 1e-6);
  EXPECT_NEAR(s[2], std::sqrt(std::log1p(std::exp(-3.0))), 1e-6);
  EXPECT_NEAR(s[3], std::sqrt(1000.0), 1e-4);
}

TEST(Score, SqrtSoftplusHasAFiniteGradientWhereItVanishes) {
  const auto dz = gradient(Score::kSqrtSoftplus, {-1000.0F, -60.0F, 1000.0F}, {1.0F, 1.0F, 1.0F});
  EXPECT_EQ(dz[0], 0.0F);
  EXPECT_NEAR(dz[1], 0.5 * std::exp(-30.0), 1e-16);
  EXPECT_NEAR(dz[2], 0.5 / std::sqrt(1000.0), 1e-6);
}

}  // namespace
}  // namespace troupe::experts
