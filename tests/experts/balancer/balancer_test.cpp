#include "experts/balancer/balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/error.h"
#include "experts/balancer/margins.h"

namespace troupe::experts {
namespace {

std::unique_ptr<Balancer> balancer_of(BalancerKind kind, std::int64_t experts) {
  MoeOptions options;
  options.experts = experts;
  options.balancer.kind = kind;
  return make_balancer(options);
}

std::unique_ptr<Balancer> sign_balancer(std::int64_t experts) {
  return balancer_of(BalancerKind::kSign, experts);
}

std::vector<float> bias_of(const Balancer& balancer) {
  return {balancer.bias().begin(), balancer.bias().end()};
}

TEST(SignBalancer, RaisesTheIdleAndLowersTheBusyByTheRate) {
  const auto balancer = sign_balancer(4);
  balancer->update({std::array<std::int64_t, 4>{10, 30, 20, 20}}, 0.25);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.25F, -0.25F, 0.0F, 0.0F}));
  balancer->update({std::array<std::int64_t, 4>{10, 30, 20, 20}}, 0.125);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.375F, -0.375F, 0.0F, 0.0F}));
}

TEST(SignBalancer, ComparesExactlyWhereFloatingPointCannot) {
  // Counts that differ by one at 2^54: doubles cannot tell them from their mean.
  const std::int64_t many = std::int64_t{1} << 54;
  const auto balancer = sign_balancer(2);
  balancer->update({std::array<std::int64_t, 2>{many, many + 1}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{1.0F, -1.0F}));
}

TEST(SignBalancer, StaysPutOnBalancedAndOnEmptyCounts) {
  const auto balancer = sign_balancer(3);
  balancer->update({std::array<std::int64_t, 3>{7, 7, 7}}, 1.0);
  balancer->update({std::array<std::int64_t, 3>{0, 0, 0}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.0F, 0.0F, 0.0F}));
}

TEST(SignBalancer, ContinuesFromARestoredState) {
  const auto first = sign_balancer(2);
  first->update({std::array<std::int64_t, 2>{1, 3}}, 0.5);
  const auto second = sign_balancer(2);
  second->restore(first->state());
  first->update({std::array<std::int64_t, 2>{1, 3}}, 0.01);
  second->update({std::array<std::int64_t, 2>{1, 3}}, 0.01);
  EXPECT_EQ(bias_of(*first), bias_of(*second));
}

TEST(SignBalancer, RefusesAStateOfAnotherLength) {
  EXPECT_THROW(sign_balancer(2)->restore(std::array<float, 3>{}), Error);
}

TEST(NoBalancer, NeverMoves) {
  const auto balancer = balancer_of(BalancerKind::kNone, 2);
  balancer->update({std::array<std::int64_t, 2>{0, 9}}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.0F, 0.0F}));
}

TEST(SignCenteredBalancer, TakesOffTheMeanOfTheSteps) {
  const auto balancer = balancer_of(BalancerKind::kSignCentered, 4);
  balancer->update({std::array<std::int64_t, 4>{10, 10, 10, 50}}, 0.5);  // signs 1 1 1 -1, mean 0.5
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.25F, 0.25F, 0.25F, -0.75F}));
}

TEST(ProportionalBalancer, MovesByTheRelativeError) {
  const auto balancer = balancer_of(BalancerKind::kProportional, 4);
  balancer->update({std::array<std::int64_t, 4>{10, 30, 20, 20}}, 0.5);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.25F, -0.25F, 0.0F, 0.0F}));
}

TEST(ProportionalBalancer, WithZeroComputeExpertsFollowsTheTargetShare) {
  MoeOptions options;
  options.experts = 2;
  options.top_k = 2;
  options.router.zero_experts = 2;
  options.balancer.kind = BalancerKind::kProportional;
  const std::array<std::int64_t, 2> counts{6, 1};  // of 8 tokens: shares 6/16 and 1/16
  auto balancer = make_balancer(options);          // target: 2 * 2 / 4 of 2, a quarter for each
  balancer->update({counts, 8}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{-0.125F, 0.1875F}));
  options.balancer.routed_per_token = 0.5;  // an eighth for each
  balancer = make_balancer(options);
  balancer->update({counts, 8}, 1.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{-0.25F, 0.0625F}));
}

std::unique_ptr<Balancer> pid_balancer(double kp, double ki, double kd, double limit) {
  MoeOptions options;
  options.experts = 2;
  options.balancer = {.kind = BalancerKind::kPid, .kp = kp, .ki = ki, .kd = kd, .integral_limit = limit};
  return make_balancer(options);
}

TEST(PidBalancer, AddsErrorSumAndChange) {
  const auto balancer = pid_balancer(1.0, 0.5, 0.25, 10.0);
  balancer->update({std::array<std::int64_t, 2>{1, 3}}, 0.0);  // e = ±0.5
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.875F, -0.875F}));
  balancer->update({std::array<std::int64_t, 2>{2, 2}}, 0.0);  // e = 0, I = ±0.5, change ∓0.5
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{0.125F, -0.125F}));
}

TEST(PidBalancer, BoundsItsSumAndTurnsBackAtOnce) {
  const auto balancer = pid_balancer(0.0, 1.0, 0.0, 3.0);
  for (int step = 0; step < 100; ++step) balancer->update({std::array<std::int64_t, 2>{0, 4}}, 0.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{3.0F, -3.0F}));
  balancer->update({std::array<std::int64_t, 2>{4, 0}}, 0.0);
  EXPECT_EQ(bias_of(*balancer), (std::vector<float>{2.0F, -2.0F}));
}

/// What all kinds have in common.
class AnyBalancer : public ::testing::TestWithParam<BalancerKind> {
 protected:
  static constexpr std::int64_t kExperts = 3;

  static std::unique_ptr<Balancer> make() { return balancer_of(GetParam(), kExperts); }

  /// Batch number `batch`, of uneven load.
  static void update(Balancer& balancer, std::int64_t batch) {
    std::vector<std::int64_t> margins(kExperts * kMarginBins);
    for (std::int64_t i = 0; i < kExperts; ++i) {
      for (std::int64_t token = 0; token < 30; ++token)
        ++margins[static_cast<std::size_t>(i * kMarginBins + 20 + 40 * i + (token * (batch + 3)) % 37)];
    }
    balancer.update({std::array<std::int64_t, 3>{10 + batch, 30, 20 - batch}, 30, margins}, 0.3);
  }
};

TEST_P(AnyBalancer, ContinuesWithTheSameBitsFromARestoredState) {
  const auto whole = make();
  for (std::int64_t batch = 0; batch < 3; ++batch) update(*whole, batch);
  const auto resumed = make();
  resumed->restore(whole->state());
  EXPECT_EQ(bias_of(*resumed), bias_of(*whole));
  for (std::int64_t batch = 3; batch < 6; ++batch) {
    update(*whole, batch);
    update(*resumed, batch);
    EXPECT_EQ(bias_of(*resumed), bias_of(*whole));
  }
  EXPECT_TRUE(std::ranges::equal(resumed->state(), whole->state()));
}

TEST_P(AnyBalancer, KeepsWholeRowsOfState) {
  const auto balancer = make();
  const std::size_t rows = GetParam() == BalancerKind::kPid ? 3 : 1;
  EXPECT_EQ(balancer->state().size(), rows * kExperts);
  EXPECT_EQ(balancer->bias().size(), std::size_t{kExperts});
  EXPECT_THROW(balancer->restore(std::vector<float>(rows * kExperts + 1)), Error);
}

TEST_P(AnyBalancer, ABatchWithoutTokensChangesNothing) {
  const auto balancer = make();
  update(*balancer, 0);
  const std::vector<float> before(balancer->state().begin(), balancer->state().end());
  const std::vector<std::int64_t> nothing(kExperts * kMarginBins);
  balancer->update({std::array<std::int64_t, 3>{}, 0, nothing}, 0.3);
  EXPECT_TRUE(std::ranges::equal(balancer->state(), before));
}

INSTANTIATE_TEST_SUITE_P(Kinds, AnyBalancer,
                         ::testing::Values(BalancerKind::kNone, BalancerKind::kSign,
                                           BalancerKind::kSignCentered, BalancerKind::kProportional,
                                           BalancerKind::kPid, BalancerKind::kQuantile),
                         [](const auto& instance) {
                           return std::string(kBalancerNames[static_cast<std::size_t>(instance.param)]);
                         });

}  // namespace
}  // namespace troupe::experts
