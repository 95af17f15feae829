#include "model/preference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace troupe::model {
namespace {

TEST(PairLoss, IsLn2ExactlyWhereNothingIsPreferred) {
  EXPECT_EQ(pair_loss(0.0).loss, std::numbers::ln2);
  EXPECT_EQ(pair_loss(0.0).slope, -0.5);
}

TEST(PairLoss, HasTheSlopeOfItsCentralDifferences) {
  constexpr double kStep = 1e-6;
  for (const double margin : {-20.0, -3.0, -0.4, 0.0, 1e-3, 2.0, 15.0}) {
    const double difference =
        (pair_loss(margin + kStep).loss - pair_loss(margin - kStep).loss) / (2.0 * kStep);
    EXPECT_NEAR(pair_loss(margin).slope, difference, 1e-8) << margin;
    EXPECT_NEAR(pair_loss(margin).loss, -std::log(1.0 / (1.0 + std::exp(-margin))), 1e-8) << margin;
  }
}

TEST(PairLoss, IsFiniteHoweverLargeTheMargin) {
  EXPECT_EQ(pair_loss(-1e300).loss, 1e300);
  EXPECT_EQ(pair_loss(-1e300).slope, -1.0);
  EXPECT_EQ(pair_loss(1e300).loss, 0.0);
  EXPECT_EQ(pair_loss(1e300).slope, 0.0);
}

TEST(Margin, OfDpoIsWhatWasGainedOverTheReference) {
  const PreferencePair pair{.chosen = 0, .rejected = 3, .end = 6, .reference = 0.5};
  EXPECT_DOUBLE_EQ(margin_of({ObjectiveKind::kDpo, 0.1}, pair, {-2.0, -5.0}), 0.25);
  EXPECT_DOUBLE_EQ(margin_of({ObjectiveKind::kReward}, pair, {-2.0, -5.0}), 3.0);
}

TEST(FillPairs, AddsLossesMarginsAndWhatIsPreferred) {
  const std::vector<PreferencePair> pairs(3);
  const std::vector<PairScores> scores{{1.0, 0.0}, {0.0, 2.0}, {1.0, 1.0}};
  MicrobatchResult result;
  result.nll = 99.0;  // of an earlier microbatch
  fill_pairs({ObjectiveKind::kReward}, pairs, scores, result);
  EXPECT_DOUBLE_EQ(result.nll, pair_loss(1.0).loss + pair_loss(-2.0).loss + std::numbers::ln2);
  EXPECT_DOUBLE_EQ(result.margin, -1.0);
  EXPECT_EQ(result.preferred, 1);  // equal scores prefer nothing
  EXPECT_EQ(result.target_tokens, 3);
}

}  // namespace
}  // namespace troupe::model
