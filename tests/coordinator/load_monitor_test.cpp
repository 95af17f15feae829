#include "coordinator/load_monitor.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

LayerLoadStatistics observe(LoadMonitor& monitor, std::vector<std::int64_t> counts,
                            std::vector<float> bias = {}) {
  const std::array<comm::LayerLoad, 1> loads{comm::LayerLoad{3, std::move(counts), std::move(bias)}};
  return monitor.observe(loads).at(0);
}

TEST(LoadMonitor, ReportsTheBatchByTheFormulasOfItsCounts) {
  LoadMonitor monitor;
  const LayerLoadStatistics got = observe(monitor, {4, 2, 2, 0}, {0.5F, -1.0F, 0.0F, 0.25F});
  EXPECT_EQ(got.layer, 3);
  EXPECT_DOUBLE_EQ(got.max_violation_batch, 1.0);
  EXPECT_DOUBLE_EQ(got.load_entropy, (0.5 * std::log(2.0) + 0.5 * std::log(4.0)) / std::log(4.0));
  EXPECT_DOUBLE_EQ(got.load_p50, 1.0);
  EXPECT_DOUBLE_EQ(got.load_p95, 1.85);
  EXPECT_EQ(got.bias_min, -1.0F);
  EXPECT_EQ(got.bias_max, 0.5F);
}

TEST(LoadMonitor, TheWindowSumsCountsSoThatAlternatingBatchesAreBalanced) {
  LoadMonitor monitor;
  (void)observe(monitor, {4, 0});
  const LayerLoadStatistics got = observe(monitor, {0, 4});
  EXPECT_DOUBLE_EQ(got.max_violation_batch, 1.0);
  EXPECT_DOUBLE_EQ(got.max_violation_window, 0.0);
}

TEST(LoadMonitor, TheWindowForgetsWhatIsOlderThanFiftySteps) {
  LoadMonitor monitor;
  LayerLoadStatistics got = observe(monitor, {1000, 0});
  for (int step = 1; step < 50; ++step) got = observe(monitor, {1, 1});
  EXPECT_GT(got.max_violation_window, 0.8);
  got = observe(monitor, {1, 1});
  EXPECT_DOUBLE_EQ(got.max_violation_window, 0.0);
}

TEST(LoadMonitor, AnExpertIsDeadAfterAHundredStepsWithoutATokenAndAliveWithOne) {
  LoadMonitor monitor;
  (void)observe(monitor, {1, 1, 0});
  for (int step = 2; step <= 99; ++step) EXPECT_EQ(observe(monitor, {1, 0, 0}).dead_experts, 0);
  EXPECT_EQ(observe(monitor, {1, 0, 0}).dead_experts, 1)
      << "only the third: the second had a token in step 1";
  EXPECT_EQ(observe(monitor, {1, 0, 0}).dead_experts, 2);
  EXPECT_EQ(observe(monitor, {1, 0, 1}).dead_experts, 1);
}

TEST(LoadMonitor, LayersAreFollowedApart) {
  LoadMonitor monitor;
  const std::array<comm::LayerLoad, 2> first{comm::LayerLoad{1, {2, 0}, {}}, comm::LayerLoad{2, {0, 2}, {}}};
  const std::array<comm::LayerLoad, 2> second{comm::LayerLoad{1, {0, 2}, {}}, comm::LayerLoad{2, {0, 2}, {}}};
  (void)monitor.observe(first);
  const auto got = monitor.observe(second);
  EXPECT_DOUBLE_EQ(got[0].max_violation_window, 0.0);
  EXPECT_DOUBLE_EQ(got[1].max_violation_window, 1.0);
}

TEST(LoadMonitor, ALayerWithoutTokensHasNumbersAllTheSame) {
  LoadMonitor monitor;
  const LayerLoadStatistics got = observe(monitor, {0, 0});
  EXPECT_DOUBLE_EQ(got.max_violation_batch, 0.0);
  EXPECT_DOUBLE_EQ(got.load_entropy, 0.0);
}

TEST(LoadMonitor, ALayerThatChangesItsExpertsIsRefused) {
  LoadMonitor monitor;
  (void)observe(monitor, {1, 1});
  EXPECT_THROW((void)observe(monitor, {1, 1, 1}), Error);
}

}  // namespace
}  // namespace troupe::coordinator
