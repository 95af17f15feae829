#include "coordinator/run/load_monitor.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

LayerLoadStatistics observe(LoadMonitor& monitor, std::vector<std::int64_t> counts,
                            std::vector<float> bias = {}) {
  const std::array<comm::LayerLoad, 1> loads{
      comm::LayerLoad{.layer = 3, .counts = std::move(counts), .bias = std::move(bias)}};
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

TEST(LoadMonitor, ReportsDroppedAndZeroComputeSharesAndLosses) {
  LoadMonitor monitor;
  comm::LayerLoad load{.layer = 1, .counts = {6, 2}, .bias = {}};
  load.dropped = {2, 0};
  load.zero_compute = 8;
  load.aux_loss = {1.0, 3.0};
  load.router_z = 0.5;
  const auto got = monitor.observe(std::span(&load, 1)).at(0);
  EXPECT_DOUBLE_EQ(got.drop_ratio, 0.25);
  EXPECT_DOUBLE_EQ(got.zero_compute_ratio, 0.5);
  EXPECT_DOUBLE_EQ(got.aux_loss_layer, 2.0);
  EXPECT_DOUBLE_EQ(got.router_z, 0.5);
  EXPECT_DOUBLE_EQ(got.max_violation_batch, 0.5) << "over routed experts only";
}

TEST(LoadMonitor, RefusesTablesThatAreNotAsWideAsTheCounts) {
  const auto refused = [](const auto& damage) {
    LoadMonitor monitor;
    comm::LayerLoad load{.layer = 1, .counts = {6, 2}, .bias = {}};
    damage(load);
    EXPECT_THROW((void)monitor.observe(std::span(&load, 1)), Error);
  };
  refused([](comm::LayerLoad& load) { load.counts.clear(); });
  refused([](comm::LayerLoad& load) { load.bias = {1.0F}; });
  refused([](comm::LayerLoad& load) { load.dropped = {1, 2, 3}; });
  refused([](comm::LayerLoad& load) { load.domains = {1, 2, 3}; });
  refused([](comm::LayerLoad& load) { load.co_activation = {1, 2, 3}; });
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
  const std::array<comm::LayerLoad, 2> first{comm::LayerLoad{.layer = 1, .counts = {2, 0}, .bias = {}},
                                             comm::LayerLoad{.layer = 2, .counts = {0, 2}, .bias = {}}};
  const std::array<comm::LayerLoad, 2> second{comm::LayerLoad{.layer = 1, .counts = {0, 2}, .bias = {}},
                                              comm::LayerLoad{.layer = 2, .counts = {0, 2}, .bias = {}}};
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
