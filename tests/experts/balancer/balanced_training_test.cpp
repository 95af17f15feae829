// The balancers in training: the same bits for every layout, and a skipped step changes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "tests/end_to_end/inproc_training.h"

namespace troupe::test {
namespace {

class BalancedTraining : public ::testing::TestWithParam<experts::BalancerKind> {
 protected:
  BalancedTraining() : dataset_(tiny_dataset()), options_(tiny_options(dataset_)) {
    options_.model.moe.balancer.kind = GetParam();
    options_.model.moe.balancer.rate = 0.25;
  }
  data::TokenDataset dataset_;
  workers::TrainingOptions options_;
};

TEST_P(BalancedTraining, HasTheSameBitsOnEveryLayout) {
  const TrainingRecord expected = train_inproc(options_, dataset_, {1, 1, 1}, 3);
  EXPECT_TRUE(train_inproc(options_, dataset_, {3, 3, 1}, 3) == expected);
  EXPECT_TRUE(train_inproc(options_, dataset_, {4, 2, 2}, 3) == expected);
}

TEST_P(BalancedTraining, ASkippedStepLeavesTheBias) {
  options_.optimizer.lr = 100.0;  // weights grow a hundred-thousandfold a step, until no loss is finite
  options_.optimizer.weight_decay = 1000.0;
  options_.schedule.warmup = 0;
  const TrainingRecord record = train_inproc(options_, dataset_, {1, 1, 1}, 12);
  const auto is_skipped = [](const auto& step) {
    return !std::isfinite(std::bit_cast<double>(step.loss_bits));
  };
  const auto first = std::ranges::find_if(record.steps, is_skipped);
  ASSERT_GT(first, record.steps.begin());
  ASSERT_LT(first + 1, record.steps.end());
  const auto& bias = (first - 1)->bias;
  EXPECT_EQ(first->bias, bias);
  EXPECT_EQ((first + 1)->bias, bias);
  const bool moved = std::ranges::any_of(bias, [](float value) { return value != 0.0F; });
  EXPECT_EQ(moved, GetParam() != experts::BalancerKind::kNone);
}

INSTANTIATE_TEST_SUITE_P(Kinds, BalancedTraining,
                         ::testing::Values(experts::BalancerKind::kNone, experts::BalancerKind::kSign,
                                           experts::BalancerKind::kSignCentered,
                                           experts::BalancerKind::kProportional, experts::BalancerKind::kPid,
                                           experts::BalancerKind::kQuantile),
                         [](const auto& instance) {
                           return std::string(
                               experts::kBalancerNames[static_cast<std::size_t>(instance.param)]);
                         });

}  // namespace
}  // namespace troupe::test
