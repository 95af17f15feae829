// The contract of docs/architecture.md, "Layout invariance": bits do not depend on who computes what.
#include <gtest/gtest.h>

#include <bit>

#include "tests/end_to_end/inproc_training.h"

namespace troupe::test {
namespace {

constexpr int kSteps = 4;

const data::TokenDataset& dataset() {
  static const data::TokenDataset dataset = tiny_dataset();
  return dataset;
}

const TrainingRecord& expected() {
  static const TrainingRecord record = train_inproc(tiny_options(dataset()), dataset(), {1, 1, 1}, kSteps);
  return record;
}

class LayoutInvariance : public ::testing::TestWithParam<WorkerLayout> {};

TEST_P(LayoutInvariance, LossCountsBiasAndWeightsHaveTheSameBits) {
  const TrainingRecord actual = train_inproc(tiny_options(dataset()), dataset(), GetParam(), kSteps);
  ASSERT_EQ(actual.steps.size(), expected().steps.size());
  for (std::size_t step = 0; step < actual.steps.size(); ++step) {
    EXPECT_EQ(actual.steps[step].loss_bits, expected().steps[step].loss_bits) << "step " << step + 1;
    EXPECT_EQ(actual.steps[step].grad_norm_bits, expected().steps[step].grad_norm_bits)
        << "step " << step + 1;
    EXPECT_EQ(actual.steps[step].load, expected().steps[step].load) << "step " << step + 1;
    EXPECT_EQ(actual.steps[step].bias, expected().steps[step].bias) << "step " << step + 1;
  }
  EXPECT_TRUE(actual.weights == expected().weights);
}

INSTANTIATE_TEST_SUITE_P(Layouts, LayoutInvariance,
                         ::testing::Values(WorkerLayout{1, 1, 2}, WorkerLayout{2, 2, 1},
                                           WorkerLayout{2, 1, 2}, WorkerLayout{3, 3, 1},
                                           WorkerLayout{3, 1, 1}, WorkerLayout{4, 4, 1},
                                           WorkerLayout{4, 2, 2}, WorkerLayout{4, 1, 1},
                                           WorkerLayout{5, 5, 1}, WorkerLayout{8, 8, 2},
                                           WorkerLayout{8, 4, 1}, WorkerLayout{8, 2, 1},
                                           WorkerLayout{1, 1, 1, true}, WorkerLayout{3, 3, 2, true}),
                         [](const auto& instance) {
                           return std::to_string(instance.param.workers) + "workers" +
                                  std::to_string(instance.param.expert_parallel) + "expert_parallel" +
                                  std::to_string(instance.param.threads) + "threads" +
                                  (instance.param.recompute ? "_recomputed" : "");
                         });

TEST(LayoutInvarianceOfDispatch, ChunksAndNodesHaveTheBitsOfOneExchange) {
  auto options = tiny_options(dataset());
  options.dispatch = {.max_bytes = 4096, .hierarchical = true, .workers_per_node = 2};
  for (const WorkerLayout& layout : {WorkerLayout{1, 1, 1}, WorkerLayout{3, 3, 1}, WorkerLayout{8, 4, 1}}) {
    const TrainingRecord actual = train_inproc(options, dataset(), layout, kSteps);
    EXPECT_TRUE(actual == expected()) << layout.workers << " workers";
  }
}

// The comparison above means something only if the record notices a change.
TEST(LayoutInvarianceRecord, NoticesAnotherSeed) {
  auto options = tiny_options(dataset());
  options.seed = 2;
  const TrainingRecord other = train_inproc(options, dataset(), {1, 1, 1}, 1);
  EXPECT_NE(other.steps[0].loss_bits, expected().steps[0].loss_bits);
}

TEST(Training, LowersTheLoss) {
  const auto& steps = expected().steps;
  EXPECT_LT(std::bit_cast<double>(steps.back().loss_bits), std::bit_cast<double>(steps.front().loss_bits));
}

}  // namespace
}  // namespace troupe::test
