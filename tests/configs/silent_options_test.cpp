#include "configs/silent_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "configs/load.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> silent(const std::string& settings) {
  return silent_options(parse("", split_words(settings)));
}

TEST(SilentOptions, ThePortOfAPageThatIsOff) {
  EXPECT_THAT(silent("dashboard.enabled=false dashboard.port=9000"),
              ElementsAre("dashboard.port = 9000 has no effect with dashboard.enabled = false"));
  EXPECT_THAT(silent("dashboard.port=9000"), IsEmpty());
  EXPECT_THAT(silent("dashboard.enabled=false"), IsEmpty());
  EXPECT_THAT(silent("dashboard.enabled=false dashboard.port=8787"), IsEmpty()) << "the default";
}

TEST(SilentOptions, WhateverAnotherChoiceLeavesUnread) {
  for (const char* settings :
       {"init_from.noise=1", "parallel.placement_every=5", "parallel.backend=inproc launch.interface=eth0",
        "schedule.kind=cosine schedule.decay=5", "schedule.kind=constant schedule.final_ratio=0.5",
        "evaluation.every=0 evaluation.sequences=5", "sampling.every=0 sampling.tokens=5",
        "dashboard.enabled=false metrics.per_expert=true", "model.moe.router.group_score=max",
        "model.moe.router.sinkhorn_iterations=3", "model.moe.balancer.kind=none model.moe.balancer.rate=1",
        "model.moe.balancer.kp=1", "model.moe.capacity.factor=2", "model.moe.capacity.drop_policy=position",
        "model.moe.first_dense_layers=4 model.moe.router.z_loss=0.1"})
    EXPECT_EQ(silent(settings).size(), 1U) << settings;
}

TEST(SilentOptions, TheSameOptionsWhereTheyAreRead) {
  for (const char* settings :
       {"init_from.checkpoint=/a init_from.noise=1", "parallel.placement=balanced parallel.placement_every=5",
        "launch.interface=eth0", "schedule.decay=5", "schedule.kind=cosine schedule.final_ratio=0.5",
        "evaluation.sequences=5", "sampling.tokens=5", "metrics.per_expert=true",
        "model.moe.router.selection=group_limited model.moe.router.groups=4 model.moe.router.top_groups=2 "
        "model.moe.router.group_score=max",
        "model.moe.balancer.kind=pid model.moe.balancer.kp=1",
        "model.moe.capacity.kind=factor model.moe.capacity.factor=2 model.moe.capacity.drop_policy=position",
        "model.moe.router.z_loss=0.1"})
    EXPECT_THAT(silent(settings), IsEmpty()) << settings;
}

TEST(SilentOptions, ThePresetsHaveNone) {
  for (const char* name : {"quickstart.yaml", "tiny.yaml", "benchmarks/moe_step.yaml"}) {
    const auto path = std::filesystem::path(TROUPE_SOURCE_DIR) / "configs" / name;
    EXPECT_THAT(silent_options(load_config(path, {})), IsEmpty()) << name;
  }
}

}  // namespace
}  // namespace troupe::configs::testing
