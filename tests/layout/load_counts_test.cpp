#include "layout/load_counts.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace troupe::layout {
namespace {

TEST(LoadCounts, LayersAreRows) {
  LoadCounts counts(2, 3);
  counts.layer(1)[0] = 7;
  EXPECT_EQ(counts.all()[3], 7);
}

TEST(LoadFormulas, BalancedLoadHasNoViolationAndFullEntropy) {
  const std::array<std::int64_t, 4> counts{5, 5, 5, 5};
  EXPECT_DOUBLE_EQ(max_violation(counts), 0.0);
  EXPECT_DOUBLE_EQ(load_entropy(counts), 1.0);
  EXPECT_EQ(dead_experts(counts), 0);
}

TEST(LoadFormulas, MatchTheirDefinitionsOnASkewedLayer) {
  const std::array<std::int64_t, 4> counts{6, 2, 0, 0};
  EXPECT_DOUBLE_EQ(max_violation(counts), 6.0 / 2.0 - 1.0);
  EXPECT_NEAR(load_entropy(counts), (-0.75 * std::log(0.75) - 0.25 * std::log(0.25)) / std::log(4.0), 1e-15);
  EXPECT_EQ(dead_experts(counts), 2);
  EXPECT_DOUBLE_EQ(load_quantile(counts, 0.5), 0.5);
  EXPECT_DOUBLE_EQ(load_quantile(counts, 1.0), 3.0);
}

TEST(LoadFormulas, AreZeroWithoutTokens) {
  const std::array<std::int64_t, 3> counts{};
  EXPECT_EQ(max_violation(counts), 0.0);
  EXPECT_EQ(load_entropy(counts), 0.0);
  EXPECT_EQ(load_quantile(counts, 0.5), 0.0);
}

}  // namespace
}  // namespace troupe::layout
