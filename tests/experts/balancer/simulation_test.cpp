// Balancers drive a skewed router that does not learn: where they arrive, how fast, how steadily.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/experts/balancer/simulated_router.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kSteps = 400;
constexpr std::size_t kWindow = 50;  // steps, as in the reported max_violation_window

MoeOptions options_of(BalancerKind kind, Schedule rate) {
  MoeOptions options;
  options.experts = 16;
  options.top_k = 2;
  options.balancer.kind = kind;
  options.balancer.rate = rate;
  return options;
}

double last_window(const Balancing& run) { return run.window_violation(run.counts.size(), kWindow); }

/// Of the 20 steps before step 100.
double early_window(const Balancing& run) { return run.window_violation(100, 20); }

class BalancerSimulation : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  static Balancing run(BalancerKind kind, Schedule rate, std::int64_t steps = kSteps) {
    return balance(options_of(kind, rate), steps, GetParam());
  }
};

TEST_P(BalancerSimulation, WithoutABalancerTheLoadStaysSkewed) {
  const Balancing none = run(BalancerKind::kNone, 0.0, 100);
  EXPECT_GT(last_window(none), 3.0);
  EXPECT_EQ(none.bias_amplitude(100), 0.0);
}

// A batch of 256 pairs per expert cannot be much better than 0.11, by chance alone.
TEST_P(BalancerSimulation, EveryKindEvensOutTheLoad) {
  struct Case {
    BalancerKind kind;
    Schedule rate;
    std::int64_t steps;
  };
  for (const auto& [kind, rate, steps] :
       {Case{BalancerKind::kProportional, 0.01, 150}, Case{BalancerKind::kPid, 0.0, 150},
        Case{BalancerKind::kQuantile, 0.5, 150}, Case{BalancerKind::kSignCentered, {0.01, 0.001}, 200}}) {
    const Balancing balanced = run(kind, rate, steps);
    const auto name = kBalancerNames[static_cast<std::size_t>(kind)];
    EXPECT_LT(last_window(balanced), 0.06) << name;
    EXPECT_LT(balanced.batch_violation(kWindow), 0.18) << name;
  }
}

TEST_P(BalancerSimulation, ALargeSignRateOscillatesWhereASmallOneSettlesLateAndAnAnnealedOneDoesNeither) {
  const Balancing large = run(BalancerKind::kSign, 0.01);
  const Balancing small = run(BalancerKind::kSign, 0.001);
  const Balancing annealed = run(BalancerKind::kSign, {0.01, 0.001});
  for (const Balancing* arrived : {&large, &small, &annealed}) EXPECT_LT(last_window(*arrived), 0.06);

  EXPECT_GT(large.bias_amplitude(100), 3.0 * small.bias_amplitude(100));
  EXPECT_GT(large.batch_violation(kWindow), 1.8 * small.batch_violation(kWindow));
  EXPECT_GT(early_window(small), 1.0);
  EXPECT_LT(early_window(large), 0.1);

  EXPECT_LT(early_window(annealed), 0.1);
  EXPECT_LT(annealed.batch_violation(kWindow), 1.25 * small.batch_violation(kWindow));
  EXPECT_LT(annealed.bias_amplitude(100), 0.5 * large.bias_amplitude(100));
}

TEST_P(BalancerSimulation, TheMeanBiasOfSignDriftsAndThatOfSignCenteredStays) {
  const Balancing sign = run(BalancerKind::kSign, 0.01, 200);
  const Balancing centered = run(BalancerKind::kSignCentered, 0.01, 200);
  EXPECT_GT(std::abs(sign.mean_bias()), 0.02);
  EXPECT_LT(std::abs(centered.mean_bias()), 1e-6);
  EXPECT_NEAR(last_window(sign), last_window(centered), 0.03) << "selection does not see a level";
}

TEST_P(BalancerSimulation, ProportionalReachesTheTargetBesideZeroComputeExperts) {
  MoeOptions options = options_of(BalancerKind::kProportional, 0.2);
  options.experts = 12;
  options.router.zero_experts = 4;
  for (const double target : {1.0, 1.6}) {
    options.balancer.routed_per_token = target;
    const Balancing balanced = balance(options, 200, GetParam());
    EXPECT_NEAR(balanced.routed_per_token.back(), target, 0.06);
    EXPECT_LT(last_window(balanced), 0.06);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BalancerSimulation, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace troupe::experts
