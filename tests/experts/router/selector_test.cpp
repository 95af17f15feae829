#include "experts/router/selector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/experts/router/router_run.h"

namespace troupe::experts {
namespace {

using Rows = std::vector<std::vector<float>>;
using Choice = std::vector<std::vector<int>>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class SelectorTest : public testing::Test {
 protected:
  SelectorTest() {
    options_.experts = 4;
    options_.top_k = 2;
  }

  /// Without empty slots. values: scores and logits at once
  Choice select(const Rows& values, std::vector<float> bias = {}) {
    const auto selector = make_selector(options_, 1);
    std::vector<float> flat;
    for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
    bias.resize(static_cast<std::size_t>(options_.choices()));
    const ConstTensorView view(flat.data(), Shape{std::ssize(values), options_.choices()});
    const auto slots = static_cast<std::size_t>(selector->slots(std::ssize(values)));
    std::vector<std::int32_t> chosen(values.size() * slots, -7);
    const Pass pass{.execution = {1},
                    .arena = arena_,
                    .microbatch = {.first_token = first_token_},
                    .seed = seed_,
                    .training = training_};
    selector->select(pass, {view, view, bias},
                     {chosen.data(), Shape{std::ssize(values), static_cast<std::int64_t>(slots)}});
    Choice choice(values.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      EXPECT_GE(chosen[i], -1);
      if (chosen[i] >= 0) choice[i / slots].push_back(chosen[i]);
    }
    return choice;
  }

  Rows random_rows(std::size_t tokens) const {
    const auto choices = static_cast<std::size_t>(options_.choices());
    const auto values = reference::random_values(9, tokens * choices);
    Rows rows;
    for (std::size_t t = 0; t < tokens; ++t) {
      auto& row = rows.emplace_back();
      for (std::size_t i = 0; i < choices; ++i)
        row.push_back(1.0F / (1.0F + std::exp(-values[t * choices + i])));
    }
    return rows;
  }

  std::vector<int> counts(const Choice& choice) const {
    std::vector<int> result(static_cast<std::size_t>(options_.choices()), 0);
    for (const auto& row : choice) {
      for (const int expert : row) ++result[static_cast<std::size_t>(expert)];
    }
    return result;
  }

  MoeOptions options_;
  Arena arena_{1 << 22};
  std::uint64_t seed_ = 1;
  std::int64_t first_token_ = 0;
  bool training_ = true;
};

// ---- top_k --------------------------------------------------------------------------------------

TEST_F(SelectorTest, TopKGoesByValueAndBias) {
  EXPECT_EQ(select({{0.1F, 0.4F, 0.3F, 0.2F}}), (Choice{{1, 2}}));
  EXPECT_EQ(select({{0.1F, 0.4F, 0.3F, 0.2F}}, {1.0F, 0.0F, 0.0F, 0.0F}), (Choice{{0, 1}}));
}

TEST_F(SelectorTest, TopKOfAllExpertsChoosesAll) {
  options_.top_k = 4;
  EXPECT_EQ(select({{0.1F, 0.4F, 0.3F, 0.2F}, {kNan, kNan, kNan, kNan}}),
            (Choice{{1, 2, 3, 0}, {0, 1, 2, 3}}));
}

// ---- group_limited ------------------------------------------------------------------------------

class GroupLimited : public SelectorTest {
 protected:
  GroupLimited() {
    options_.experts = 6;
    options_.router.selection = Selection::kGroupLimited;
    options_.router.groups = 3;
    options_.router.top_groups = 1;
  }
};

TEST_F(GroupLimited, RanksGroupsByTheSumOfTheirTwoBest) {
  EXPECT_EQ(select({{0.9F, 0.0F, 0.5F, 0.6F, 0.1F, 0.2F}}), (Choice{{3, 2}}));
}

TEST_F(GroupLimited, RanksGroupsByTheirBest) {
  options_.router.group_score = GroupScore::kMax;
  EXPECT_EQ(select({{0.9F, 0.0F, 0.5F, 0.6F, 0.1F, 0.2F}}), (Choice{{0, 1}}));
}

TEST_F(GroupLimited, RanksGroupsWithTheBias) {
  EXPECT_EQ(select({{0.9F, 0.0F, 0.5F, 0.6F, 0.1F, 0.2F}}, {0, 0, 0, 0, 1, 1}), (Choice{{5, 4}}));
}

TEST_F(GroupLimited, NeverLeavesItsGroupsForNegativeBiasedScores) {
  const Choice choice = select({{0.1F, 0.2F, 0.1F, 0.1F, 0.1F, 0.1F}}, {-1, -1, -2, -2, -2, -2});
  EXPECT_EQ(choice, (Choice{{1, 0}}));  // with excluded groups at 0 it would be {2, 3}
}

TEST_F(GroupLimited, NeverLeavesItsGroupsForNaN) {
  options_.router.group_score = GroupScore::kMax;
  EXPECT_EQ(select({{0.1F, 0.2F, 0.3F, kNan, 0.1F, 0.1F}}), (Choice{{2, 3}}));
}

TEST_F(GroupLimited, EqualGroupsGoToTheLower) {
  EXPECT_EQ(select({{0.1F, 0.1F, 0.1F, 0.1F, 0.1F, 0.1F}}), (Choice{{0, 1}}));
}

TEST_F(GroupLimited, GroupsOfOneExpertAreTopK) {
  options_.router.groups = 6;
  options_.router.top_groups = 2;
  EXPECT_EQ(select({{0.1F, 0.5F, 0.1F, 0.6F, 0.1F, 0.1F}}), (Choice{{3, 1}}));
}

// ---- gshard_second ------------------------------------------------------------------------------

class GshardSecond : public SelectorTest {
 protected:
  GshardSecond() { options_.router.selection = Selection::kGshardSecond; }

  double share_of_seconds(float first, float second) {
    const Choice choice = select(Rows(2000, {0.0F, second, first, 0.0F}));
    std::size_t kept = 0;
    for (const auto& row : choice) kept += row.size() - 1;
    return static_cast<double>(kept) / 2000.0;
  }
};

TEST_F(GshardSecond, KeepsTheSecondAsOftenAsTwiceItsShare) {
  EXPECT_NEAR(share_of_seconds(0.6F, 0.2F), 0.5, 0.04);
  EXPECT_NEAR(share_of_seconds(0.9F, 0.1F), 0.2, 0.03);
  EXPECT_EQ(share_of_seconds(0.4F, 0.4F), 1.0);
  EXPECT_EQ(share_of_seconds(0.5F, 0.0F), 0.0);
}

TEST_F(GshardSecond, EvaluationKeepsASecondThatIsLikelierKept) {
  training_ = false;
  EXPECT_EQ(share_of_seconds(0.6F, 0.21F), 1.0);
  EXPECT_EQ(share_of_seconds(0.6F, 0.19F), 0.0);
}

TEST_F(GshardSecond, DrawsByTheTokensNumberInTheRun) {
  const Rows rows(64, {0.0F, 0.2F, 0.6F, 0.0F});
  const Choice all = select(rows);
  first_token_ = 32;
  const Choice later = select(Rows(rows.begin() + 32, rows.end()));
  EXPECT_EQ(Choice(all.begin() + 32, all.end()), later);
}

// ---- expert_choice ------------------------------------------------------------------------------

class ExpertChoice : public SelectorTest {
 protected:
  ExpertChoice() {
    options_.router.selection = Selection::kExpertChoice;
    options_.capacity.factor = 1.0;
  }
};

TEST_F(ExpertChoice, EveryExpertTakesItsBestTokens) {
  options_.top_k = 1;
  const Rows rows{
      {0.9F, 0.1F, 0.1F, 0.1F}, {0.8F, 0.7F, 0.2F, 0.2F}, {0.1F, 0.2F, 0.3F, 0.9F}, {0.0F, 0.1F, 0.2F, 0.1F}};
  EXPECT_EQ(select(rows), (Choice{{0}, {1}, {2, 3}, {}}));
}

TEST_F(ExpertChoice, TakesTheRoundedUpShareTimesTheFactor) {
  EXPECT_EQ(counts(select(random_rows(7))), std::vector<int>(4, 4));  // ceil(2 * 7 / 4)
  options_.capacity.factor = 1.25;
  EXPECT_EQ(counts(select(random_rows(7))), std::vector<int>(4, 5));
  options_.capacity.factor = 100.0;
  EXPECT_EQ(counts(select(random_rows(7))), std::vector<int>(4, 7));  // not more than there are
}

TEST_F(ExpertChoice, EqualTokensGoToTheEarlier) {
  options_.top_k = 1;
  EXPECT_EQ(select(Rows(8, {0.5F, 0.5F, 0.5F, 0.5F})),
            (Choice{{0, 1, 2, 3}, {0, 1, 2, 3}, {}, {}, {}, {}, {}, {}}));
}

TEST_F(ExpertChoice, TakesNaNLast) {
  options_.top_k = 1;
  EXPECT_EQ(counts(select({{kNan, 1, 1, 1}, {0.1F, 0, 0, 0}, {0.2F, 0, 0, 0}, {kNan, 0, 0, 0}}))[0], 1);
  EXPECT_EQ(select({{kNan, 1, 1, 1}, {0.1F, 0, 0, 0}, {0.2F, 0, 0, 0}, {kNan, 0, 0, 0}})[2],
            (std::vector<int>{0}));
}

// ---- sinkhorn -----------------------------------------------------------------------------------

class Sinkhorn : public SelectorTest {
 protected:
  Sinkhorn() {
    options_.router.selection = Selection::kSinkhorn;
    options_.top_k = 1;
  }
};

TEST_F(Sinkhorn, SpreadsTokensThatAllPreferOneExpert) {
  Rows rows = random_rows(200);
  for (auto& row : rows) row[0] += 5.0F;
  options_.router.sinkhorn_iterations = 50;
  for (const int count : counts(select(rows))) {
    EXPECT_GT(count, 20);
    EXPECT_LT(count, 80);
  }
}

TEST_F(Sinkhorn, OfOneTokenChoosesByTheLowerExpertAfterScaling) {
  EXPECT_EQ(select({{0.1F, 0.4F, 0.3F, 0.2F}}), (Choice{{0}}));  // every column has this token alone
}

TEST_F(Sinkhorn, StaysFiniteWithExtremeLogits) {
  options_.router.sinkhorn_iterations = 1000;
  const Choice choice =
      select({{500.0F, -500.0F, 0.0F, 0.0F}, {500.0F, -500.0F, 0.0F, 0.0F}, {-900.0F, 900.0F, 0.0F, 0.0F}});
  EXPECT_EQ(choice[2], (std::vector<int>{1}));
  EXPECT_EQ(choice.size(), 3U);
}

TEST_F(Sinkhorn, ReadsNoBias) {
  const Rows rows = random_rows(20);
  EXPECT_EQ(select(rows), select(rows, {9.0F, 0.0F, 0.0F, 0.0F}));
}

// ---- who sees the future ------------------------------------------------------------------------

class Causality : public testing::TestWithParam<Selection> {
 protected:
  /// Whether the routing of tokens before the last changes with the last one's input.
  static bool leaks() {
    constexpr std::int64_t kTokens = 24;
    RouterCase router_case{.options = options_of(GetParam(), Score::kSoftmax), .step = {}};
    router_case.step = reference::random_step(router_case.options, {reference::random_batch(1, 1, kTokens)});
    const reference::Weights weights(router_case.options, 0, 0);
    auto x = reference::random_values(1, static_cast<std::size_t>(kTokens * router_case.options.hidden_size));
    const RouterRun before = run_router(router_case, weights, x);
    bool changed = false;
    for (float factor : {-3.0F, 3.0F, 10.0F}) {
      auto other = x;
      for (auto i = other.end() - router_case.options.hidden_size; i != other.end(); ++i) *i *= factor;
      const RouterRun after = run_router(router_case, weights, other);
      changed = changed ||
                !std::equal(before.chosen.begin(), before.chosen.end() - 1, after.chosen.begin()) ||
                !std::equal(before.weights.begin(), before.weights.end() - 1, after.weights.begin());
    }
    return changed;
  }
};

class SeesTheFuture : public Causality {};
class SeesOneToken : public Causality {};

TEST_P(SeesTheFuture, ALaterTokenChangesAnEarlierTokensRouting) { EXPECT_TRUE(leaks()); }

TEST_P(SeesOneToken, ALaterTokenNeverChangesAnEarlierTokensRouting) { EXPECT_FALSE(leaks()); }

std::string name_of(const testing::TestParamInfo<Selection>& info) {
  return std::string(kSelectionNames[static_cast<std::size_t>(info.param)]);
}

INSTANTIATE_TEST_SUITE_P(Selector, SeesTheFuture,
                         testing::Values(Selection::kExpertChoice, Selection::kSinkhorn), name_of);
INSTANTIATE_TEST_SUITE_P(Selector, SeesOneToken,
                         testing::Values(Selection::kTopK, Selection::kNoisyTopK, Selection::kGshardSecond,
                                         Selection::kGroupLimited),
                         name_of);

}  // namespace
}  // namespace troupe::experts
