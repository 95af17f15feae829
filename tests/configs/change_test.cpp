#include "configs/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "configs/option_list.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const std::string& list) {
  try {
    (void)parse_allowed_changes({list});
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Change, TheLongestGroupDecides) {
  EXPECT_EQ(why_fixed("optimizer.lr"), "");
  EXPECT_NE(why_fixed("optimizer.kind"), "");
  EXPECT_EQ(why_fixed("model.moe.balancer.rate"), "");
  EXPECT_NE(why_fixed("model.moe.balancer.kind"), "");
  EXPECT_NE(why_fixed("model.hidden_size"), "");
  EXPECT_EQ(why_fixed("model.moe.aux_loss[].coefficient"), "");
}

TEST(Change, EveryOptionOfTheMeaningHasARule) {
  RunConfig config;
  for (const OptionInfo& option : list_options([&](Fields& fields) { describe(fields, config); })) {
    if (option.kind != OptionInfo::Kind::kGroup && is_meaning(option.key)) {
      EXPECT_THAT(std::string(why_fixed(option.key)), Not(HasSubstr("nothing is known"))) << option.key;
    }
  }
}

TEST(Change, ListsNameOptionsAndGroups) {
  const AllowedChanges allowed = parse_allowed_changes({"run.steps,schedule", "optimizer.lr"});
  EXPECT_THAT(allowed.keys, ElementsAre("run.steps", "schedule", "optimizer.lr"));
  EXPECT_TRUE(allowed.include("schedule.decay"));
  EXPECT_FALSE(allowed.include("optimizer.eps"));
  EXPECT_FALSE(allowed.include("schedules"));
  EXPECT_TRUE(AllowedChanges::everything().include("optimizer.eps"));
  EXPECT_FALSE(AllowedChanges::everything().include("run.seed"));
}

TEST(Change, WhatCannotBeAllowedIsRefusedWithTheReason) {
  EXPECT_THAT(refusal("run.stepz"), HasSubstr("did you mean run.steps?"));
  EXPECT_THAT(refusal("model.layers"), HasSubstr("it cannot change: the saved weights"));
  EXPECT_THAT(refusal("checkpoint.every"), HasSubstr("may change without this"));
}

TEST(Change, RefusedDifferencesSayWhatToDo) {
  const auto found = differences(parse(""), parse("", {"run.steps=300", "optimizer.lr=2", "run.seed=2"}));
  const std::string text = refused_changes(found, parse_allowed_changes({"optimizer"}));
  EXPECT_THAT(text, AllOf(HasSubstr("run.steps: 240 in the checkpoint, 300 now"),
                          HasSubstr("run.seed: 1 in the checkpoint, 2 now; it cannot change: "),
                          HasSubstr("--allow-change run.steps"), Not(HasSubstr("optimizer.lr"))));
  EXPECT_EQ(refused_changes({}, {}), "");
}

}  // namespace
}  // namespace troupe::configs::testing
