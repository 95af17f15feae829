#include "experts/balancer/margins.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "tests/experts/balancer/simulated_router.h"

namespace troupe::experts {
namespace {

MoeOptions quantile_options(std::int64_t experts, std::int64_t top_k) {
  MoeOptions options;
  options.experts = experts;
  options.top_k = top_k;
  options.balancer.kind = BalancerKind::kQuantile;
  return options;
}

// Biases that are no multiples of each other, about as wide as the scores' spread.
std::vector<float> some_bias(std::size_t experts) {
  std::vector<float> bias(experts);
  for (std::size_t i = 0; i < experts; ++i) bias[i] = 0.1F * std::sin(static_cast<float>(3 * i + 1));
  return bias;
}

/// Margins of one expert by sorting the other experts' biased scores of each token, largest first.
std::vector<float> sorted_margins(const SimulatedBatch& batch, std::span<const float> bias,
                                  std::size_t expert, std::size_t top_k) {
  std::vector<float> margins;
  std::vector<float> biased(bias.size());
  for (std::size_t at = 0; at < batch.scores.size(); at += bias.size()) {
    for (std::size_t i = 0; i < bias.size(); ++i) biased[i] = batch.scores[at + i] + bias[i];
    const float own = std::exchange(biased[expert], -std::numeric_limits<float>::infinity());
    std::ranges::sort(biased, std::greater{});
    margins.push_back(own - biased[top_k - 1]);
  }
  std::ranges::sort(margins, std::greater{});
  return margins;
}

TEST(MarginBins, AreOrderedAndHoldTheirMiddle) {
  for (int bin = 0; bin < kMarginBins; ++bin) {
    EXPECT_EQ(bin_of_margin(static_cast<float>(margin_of_bin(bin))), bin);
    EXPECT_GT(margin_of_bin(bin), bin > 0 ? margin_of_bin(bin - 1) : -100.0);
  }
}

TEST(MarginBins, AMiddleIsWithinAnEighthOfTheMargin) {
  for (float margin = 1.6e-5F; margin < 16.0F; margin *= 1.01F) {
    const double middle = margin_of_bin(bin_of_margin(margin));
    EXPECT_NEAR(middle, margin, 0.125 * margin);
    EXPECT_EQ(margin_of_bin(bin_of_margin(-margin)), -middle);
  }
}

TEST(MarginBins, TinyMarginsAreZeroAndEverythingElseHasABin) {
  for (const float margin : {0.0F, -0.0F, 1.5e-5F, -1.5e-5F, std::numeric_limits<float>::denorm_min()})
    EXPECT_EQ(margin_of_bin(bin_of_margin(margin)), 0.0) << margin;
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(bin_of_margin(1e30F), kMarginBins - 1);
  EXPECT_EQ(bin_of_margin(infinity), kMarginBins - 1);
  EXPECT_EQ(bin_of_margin(-1e30F), 0);
  EXPECT_EQ(bin_of_margin(-infinity), 0);
  const int not_a_number = bin_of_margin(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(not_a_number == 0 || not_a_number == kMarginBins - 1);
}

TEST(MarginHistogram, CountsEveryTokenOncePerExpertOnAnyNumberOfThreads) {
  const MoeOptions options = quantile_options(40, 3);
  const auto bias = some_bias(40);
  SimulatedRouter router(options, {.tokens = 500}, 1);
  const auto expected = router.route(0, bias, 1).margins;
  for (std::size_t expert = 0; expert < 40; ++expert) {
    const auto row = std::span(expected).subspan(expert * kMarginBins, kMarginBins);
    EXPECT_EQ(std::accumulate(row.begin(), row.end(), std::int64_t{0}), 500);
  }
  EXPECT_EQ(router.route(0, bias, 3).margins, expected);
  static_cast<void>(router.route(1, bias));
  EXPECT_EQ(router.route(0, bias).margins, expected) << "the batch before has left something";
}

TEST(MarginHistogram, ZeroComputeExpertsCompeteButAreNotCounted) {
  MoeOptions options = quantile_options(6, 2);
  options.router.zero_experts = 2;
  SimulatedRouter router(options, {.tokens = 256}, 1);
  const SimulatedBatch& batch = router.route(0, std::vector<float>(6));
  ASSERT_EQ(batch.margins.size(), std::size_t{6 * kMarginBins});
  const auto expected = sorted_margins(batch, std::vector<float>(8), 5, 2);
  const auto row = std::span(batch.margins).subspan(5 * kMarginBins, kMarginBins);
  EXPECT_EQ(margin_of_rank(row, 17), margin_of_bin(bin_of_margin(expected[16])));
}

TEST(QuantileBalancer, ACutIsTheSortedOneWithinItsBin) {
  const MoeOptions options = quantile_options(16, 2);
  const auto bias = some_bias(16);
  SimulatedRouter router(options, {.tokens = 1000}, 1);
  const SimulatedBatch& batch = router.route(0, bias);
  for (std::size_t expert = 0; expert < 16; ++expert) {
    const auto margins = sorted_margins(batch, bias, expert, 2);
    const auto row = std::span(batch.margins).subspan(expert * kMarginBins, kMarginBins);
    for (const std::int64_t rank : {1, 2, 125, 126, 1000}) {
      const float exact = margins[static_cast<std::size_t>(rank - 1)];
      EXPECT_EQ(margin_of_rank(row, rank), margin_of_bin(bin_of_margin(exact))) << expert << " " << rank;
    }
  }
}

TEST(QuantileBalancer, MovesByTheRateOfTheCutAndCentres) {
  const MoeOptions options = quantile_options(16, 2);
  const auto bias = some_bias(16);
  SimulatedRouter router(options, {.tokens = 1000}, 1);
  const SimulatedBatch& batch = router.route(0, bias);
  const auto balancer = make_balancer(options);
  balancer->restore(bias);
  balancer->update({batch.counts, 1000, batch.margins}, 0.25);
  std::vector<double> expected(16);
  double mean = 0.0;
  for (std::size_t i = 0; i < 16; ++i) {  // ⌊2 * 1000 / 16⌋ + 1 = 126
    const float exact = sorted_margins(batch, bias, i, 2)[125];
    expected[i] = static_cast<double>(bias[i]) - 0.25 * margin_of_bin(bin_of_margin(exact));
    mean += expected[i] / 16.0;
  }
  for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(balancer->bias()[i], expected[i] - mean, 1e-7);
}

/// One expert moved by its own cut, all others as they are. Returns how many experts of `wanted` there were.
template <class Wanted>
int move_one_by_one_to_fair_share(const Wanted& wanted, double tolerance) {
  const MoeOptions options = quantile_options(16, 2);
  SimulatedRouter router(options, {.tokens = 8000}, 1);
  const std::vector<float> bias(16);
  const SimulatedBatch first = router.route(0, bias);
  int found = 0;
  for (std::size_t expert = 0; expert < 16; ++expert) {
    if (!wanted(first.counts[expert])) continue;
    const auto row = std::span(first.margins).subspan(expert * kMarginBins, kMarginBins);
    std::vector<float> moved = bias;
    moved[expert] -= static_cast<float>(margin_of_rank(row, 1001));
    EXPECT_NEAR(static_cast<double>(router.route(0, moved).counts[expert]), 1000.0, tolerance) << expert;
    ++found;
  }
  return found;
}

TEST(QuantileBalancer, AnExpertAboveItsFairShareComesDownToIt) {
  EXPECT_GE(move_one_by_one_to_fair_share([](std::int64_t count) { return count > 1000; }, 200.0), 3);
}

// An idle expert's cut is large, and so is the width of its bin.
TEST(QuantileBalancer, AnExpertBelowItsFairShareRisesToItByItself) {
  EXPECT_GE(move_one_by_one_to_fair_share([](std::int64_t count) { return count < 650; }, 350.0), 3);
}

}  // namespace
}  // namespace troupe::experts
