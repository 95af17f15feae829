#include "experts/router/capacity.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/experts/test_pass.h"

namespace troupe::experts {
namespace {

using Ids = std::vector<std::int32_t>;
using Counts = std::vector<std::int64_t>;

struct Admitted {
  Ids dispatched;
  Counts dropped;
};

MoeOptions options_of(std::int64_t experts, double factor, DropPolicy policy) {
  MoeOptions options;
  options.experts = experts;
  options.top_k = 2;
  options.capacity = {CapacityKind::kFactor, factor, policy};
  return options;
}

/// chosen: [tokens, 2]; scores: [tokens, choices]
Admitted run(const MoeOptions& options, Ids chosen, std::vector<float> scores) {
  TestPass test;
  const auto tokens = std::ssize(chosen) / 2;
  Admitted result{{}, Counts(static_cast<std::size_t>(options.experts), 99)};
  const TensorView dispatched =
      admit(test.pass, options, {chosen.data(), Shape{tokens, 2}},
            TensorView(scores.data(), Shape{tokens, options.choices()}), result.dropped);
  result.dispatched.assign(dispatched.i32(), dispatched.i32() + dispatched.elements());
  return result;
}

TEST(Capacity, IsTheRoundedUpShareTimesTheFactor) {
  EXPECT_EQ(expert_capacity(options_of(4, 1.0, DropPolicy::kScore), 10), 5);
  EXPECT_EQ(expert_capacity(options_of(4, 1.25, DropPolicy::kScore), 10), 7);  // 6.25
  EXPECT_EQ(expert_capacity(options_of(2, 1.1, DropPolicy::kScore), 70), 70) << "at most all tokens";
  EXPECT_EQ(expert_capacity(options_of(4, 1.1, DropPolicy::kScore), 140), 77) << "not 78 by rounding of 1.1";
  EXPECT_EQ(expert_capacity(options_of(4, 1.0, DropPolicy::kScore), 0), 0);
}

TEST(Capacity, DroplessGivesTheChoiceItself) {
  TestPass test;
  MoeOptions options;
  options.experts = 3;
  Ids chosen{0, 1, 2, -1};
  const TensorView view(chosen.data(), Shape{2, 2});
  EXPECT_EQ(admit(test.pass, options, view, {}, {}).i32(), chosen.data());
}

TEST(Capacity, ZeroComputeChoicesAreNeverSentAndNeverDropped) {
  MoeOptions options = options_of(2, 0.5, DropPolicy::kPosition);  // one place each
  options.router.zero_experts = 1;
  const Admitted result = run(options, {2, 0, /**/ 2, 1}, std::vector<float>(6, 1.0F));
  EXPECT_EQ(result.dispatched, (Ids{-1, 0, -1, 1}));
  EXPECT_EQ(result.dropped, (Counts{0, 0}));
  options.capacity.kind = CapacityKind::kDropless;
  EXPECT_EQ(run(options, {2, 0, /**/ 2, 1}, std::vector<float>(6, 1.0F)).dispatched, (Ids{-1, 0, -1, 1}));
}

// Three tokens, experts of ceil(2 * 3 / 2 * 0.6) = 2 places.
TEST(Capacity, FirstChoicesComeBeforeSecondOnesWhateverTheirScore) {
  for (const DropPolicy policy : {DropPolicy::kPosition, DropPolicy::kScore}) {
    // Token 0 has expert 0 second, with the best score of all.
    const Admitted result =
        run(options_of(2, 0.6, policy), {1, 0, /**/ 0, 1, /**/ 0, 1}, {0.9F, 1.0F, 0.5F, 0.1F, 0.6F, 0.2F});
    EXPECT_EQ(result.dispatched[1], -1);
    EXPECT_EQ(result.dispatched[2], 0);
    EXPECT_EQ(result.dispatched[4], 0);
    EXPECT_EQ(result.dropped, (Counts{1, 1}));
  }
}

TEST(Capacity, PositionKeepsTheFirstTokensAndScoreTheBest) {
  const Ids chosen{0, -1, 0, -1, 0, -1};
  const std::vector<float> scores{0.1F, 0.F, 0.2F, 0.F, 0.3F, 0.F};
  EXPECT_EQ(run(options_of(2, 0.6, DropPolicy::kPosition), chosen, scores).dispatched,
            (Ids{0, -1, 0, -1, -1, -1}));
  EXPECT_EQ(run(options_of(2, 0.6, DropPolicy::kScore), chosen, scores).dispatched,
            (Ids{-1, -1, 0, -1, 0, -1}));
}

TEST(Capacity, EqualScoresKeepTheEarlierTokens) {
  const Ids chosen{0, -1, 0, -1, 0, -1};
  const std::vector<float> scores{0.5F, 0.F, 0.5F, 0.F, 0.5F, 0.F};
  for (const DropPolicy policy : {DropPolicy::kPosition, DropPolicy::kScore}) {
    EXPECT_EQ(run(options_of(2, 0.6, policy), chosen, scores).dispatched, (Ids{0, -1, 0, -1, -1, -1}));
  }
}

TEST(Capacity, NotANumberIsTheWorstScore) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Admitted result =
      run(options_of(2, 0.6, DropPolicy::kScore), {0, -1, 0, -1, 0, -1}, {nan, 0.F, 0.1F, 0.F, -0.3F, 0.F});
  EXPECT_EQ(result.dispatched, (Ids{-1, -1, 0, -1, 0, -1}));
}

TEST(Capacity, NoTokensAreLegal) {
  const Admitted result = run(options_of(2, 1.0, DropPolicy::kScore), {}, {});
  EXPECT_TRUE(result.dispatched.empty());
  EXPECT_EQ(result.dropped, (Counts{0, 0}));
}

}  // namespace
}  // namespace troupe::experts
