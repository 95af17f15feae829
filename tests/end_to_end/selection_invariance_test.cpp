// Selections with random numbers, and those that look at a whole microbatch, keep the contract of
// docs/architecture.md, "Layout invariance", too.
#include <gtest/gtest.h>

#include "tests/end_to_end/inproc_training.h"

namespace troupe::test {
namespace {

using experts::BalancerKind;
using experts::Score;
using experts::Selection;

constexpr int kSteps = 1;

workers::TrainingOptions options_of(const data::TokenDataset& dataset, Selection selection, Score score) {
  workers::TrainingOptions options = tiny_options(dataset);
  experts::MoeOptions& moe = options.model.moe;
  moe.router.selection = selection;
  moe.router.score = score;
  moe.router.jitter = 0.1;
  moe.router.linear_bias = true;
  moe.router.softmax_after_topk = selection == Selection::kNoisyTopK;
  if (selection != Selection::kTopK && selection != Selection::kGroupLimited)
    moe.balancer.kind = BalancerKind::kNone;
  if (selection == Selection::kGroupLimited) {
    moe.router.groups = 4;
    moe.router.top_groups = 2;
  }
  return options;
}

class SelectionInvariance : public ::testing::TestWithParam<std::pair<Selection, Score>> {};

TEST_P(SelectionInvariance, EveryLayoutHasTheSameBits) {
  const data::TokenDataset dataset = tiny_dataset();
  const auto options = options_of(dataset, GetParam().first, GetParam().second);
  const TrainingRecord expected = train_inproc(options, dataset, {1, 1, 1}, kSteps);
  EXPECT_TRUE(train_inproc(options, dataset, {3, 3, 1}, kSteps) == expected);
  EXPECT_TRUE(train_inproc(options, dataset, {4, 2, 2}, kSteps) == expected);
}

INSTANTIATE_TEST_SUITE_P(Selections, SelectionInvariance,
                         ::testing::Values(std::pair(Selection::kTopK, Score::kSqrtSoftplus),
                                           std::pair(Selection::kNoisyTopK, Score::kSoftmax),
                                           std::pair(Selection::kGshardSecond, Score::kSoftmax),
                                           std::pair(Selection::kGroupLimited, Score::kSigmoid),
                                           std::pair(Selection::kExpertChoice, Score::kSoftmax),
                                           std::pair(Selection::kSinkhorn, Score::kSigmoid)),
                         [](const auto& instance) {
                           return std::string(
                               experts::kSelectionNames[static_cast<std::size_t>(instance.param.first)]);
                         });

}  // namespace
}  // namespace troupe::test
