// The balancers in training: the same bits for every layout, and a skipped step changes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
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
  const auto spoil_after_the_first = [](workers::Trainer& trainer, const workers::StepResult& result) {
    if (result.step == 1)
      std::ranges::fill(trainer.model().dense_values(), std::numeric_limits<float>::quiet_NaN());
  };
  const TrainingRecord record = train_inproc(options_, dataset_, {1, 1, 1}, 3, spoil_after_the_first);
  const auto loss = std::bit_cast<double>(record.steps[1].loss_bits);
  ASSERT_FALSE(std::isfinite(loss)) << loss;
  EXPECT_EQ(record.steps[1].bias, record.steps[0].bias);
  EXPECT_EQ(record.steps[2].bias, record.steps[0].bias);
  const bool moved = std::ranges::any_of(record.steps[0].bias, [](float bias) { return bias != 0.0F; });
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
