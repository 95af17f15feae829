#include "model/transformer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "tests/reference/fixtures.h"

namespace troupe::model {
namespace {

/// One worker with all experts.
class TransformerTest : public testing::Test {
 protected:
  explicit TransformerTest(const ModelOptions& options = reference::tiny_options())
      : options_(options),
        weights_(options_, 0, options_.moe.experts),
        batch_(reference::random_batch(3, 2, 8)),
        step_(options_, reference::random_step(options_, {batch_})),
        group_(comm::make_inproc_group(1)),
        model_(options_, {reference::kVocab, 8, 16}, weights_.dense, weights_.experts,
               {*group_[0], layout::Placement(2, layout::LayerPlacement::contiguous(5, 1))}, {1, &profile_}),
        dense_(weights_.dense_values.size(), 0.0F),
        experts_(weights_.expert_values.size(), 0.0F),
        result_(model_.make_result()) {}

  void forward_backward(const MicrobatchInput& input) {
    const std::array<int, 1> lane_of_source{0};
    const std::array<TensorView, 1> lanes{experts_};
    model_.forward_backward(input, step_.context(), {weights_.dense_values, weights_.expert_values},
                            {.dense = dense_, .expert_lanes = lanes, .lane_of_source = lane_of_source},
                            result_);
  }

  ModelOptions options_;
  reference::Weights weights_;
  reference::Batch batch_;
  reference::FlatStep step_;
  std::vector<std::unique_ptr<comm::Communicator>> group_;
  SystemClock clock_;
  Profile profile_{clock_, 1, /*counts_ops=*/true};
  Transformer model_;
  std::vector<float> dense_;
  std::vector<float> experts_;
  MicrobatchResult result_;
};

ModelOptions jittered_options() {
  ModelOptions options = reference::tiny_options();
  options.moe.router.jitter = 0.5;
  return options;
}

class JitteredTransformerTest : public TransformerTest {
 protected:
  JitteredTransformerTest() : TransformerTest(jittered_options()) {}

  double loss_at(std::int64_t first_token) {
    MicrobatchInput input = reference::as_input(batch_);
    input.first_token = first_token;
    forward_backward(input);
    return result_.nll;
  }

  double evaluation_loss_at(std::int64_t first_token) {
    MicrobatchInput input = reference::as_input(batch_);
    input.first_token = first_token;
    std::vector<double> token_nll(batch_.size());
    model_.evaluate(input, step_.context(), {weights_.dense_values, weights_.expert_values}, token_nll,
                    result_);
    return result_.nll;
  }
};

TEST_F(JitteredTransformerTest, RandomNumbersFollowTheTokensNumberInTheRunAndOnlyInTraining) {
  EXPECT_EQ(loss_at(0), loss_at(0));
  EXPECT_NE(loss_at(0), loss_at(1000));
  EXPECT_EQ(evaluation_loss_at(0), evaluation_loss_at(1000));
}

TEST_F(TransformerTest, OverwritesDenseGradientsAndAddsToExpertLanes) {
  forward_backward(reference::as_input(batch_));
  const auto dense = dense_;
  const auto experts = experts_;
  forward_backward(reference::as_input(batch_));
  EXPECT_EQ(dense_, dense);
  for (std::size_t i = 0; i < experts.size(); ++i) EXPECT_NEAR(experts_[i], 2.0F * experts[i], 1e-5F);
}

TEST_F(TransformerTest, ZeroTokensGiveAZeroGradientAndEmptyCounts) {
  forward_backward(reference::as_input(batch_));
  std::ranges::fill(experts_, 0.0F);
  forward_backward({});
  EXPECT_TRUE(std::ranges::all_of(dense_, [](float value) { return value == 0.0F; }));
  EXPECT_TRUE(std::ranges::all_of(experts_, [](float value) { return value == 0.0F; }));
  EXPECT_TRUE(std::ranges::all_of(result_.load.counts.all(), [](std::int64_t count) { return count == 0; }));
  EXPECT_EQ(result_.nll, 0.0);
  EXPECT_EQ(result_.target_tokens, 0);
}

TEST_F(TransformerTest, TokensAfterARowDoNotChangeItsLogits) {
  std::vector<float> logits(reference::kVocab);
  std::vector<float> changed(reference::kVocab);
  const Weights weights{weights_.dense_values, weights_.expert_values};
  model_.logits_of_row(reference::as_input(batch_), step_.context(), weights, 5, logits);
  for (std::size_t t = 6; t < 8; ++t)
    batch_.tokens[t] = (batch_.tokens[t] + 1) % static_cast<int>(reference::kVocab);
  model_.logits_of_row(reference::as_input(batch_), step_.context(), weights, 5, changed);
  for (std::size_t v = 0; v < logits.size(); ++v) EXPECT_NEAR(logits[v], changed[v], 1e-5F);
}

TEST_F(TransformerTest, DocumentsDoNotSeeEachOther) {
  // The second document of a sequence, with its tokens before the border changed.
  const std::size_t last = 7;
  const auto border = static_cast<std::size_t>(batch_.first_visible[last]);
  ASSERT_GT(border, 0U);
  std::vector<double> before(16);
  std::vector<double> after(16);
  const Weights weights{weights_.dense_values, weights_.expert_values};
  model_.evaluate(reference::as_input(batch_), step_.context(), weights, before, result_);
  for (std::size_t t = 0; t < border; ++t)
    batch_.tokens[t] = (batch_.tokens[t] + 1) % static_cast<int>(reference::kVocab);
  model_.evaluate(reference::as_input(batch_), step_.context(), weights, after, result_);
  for (std::size_t t = border; t <= last; ++t) EXPECT_NEAR(before[t], after[t], 1e-5);
  EXPECT_NE(before, after);
}

TEST_F(TransformerTest, EvaluationNeedsLessMemoryThanTraining) {
  std::vector<double> nll(16);
  model_.evaluate(reference::as_input(batch_), step_.context(),
                  {weights_.dense_values, weights_.expert_values}, nll, result_);
  const std::size_t evaluation = model_.activation_peak_bytes();
  forward_backward(reference::as_input(batch_));
  EXPECT_LT(evaluation, model_.activation_peak_bytes());
  EXPECT_GE(evaluation, 16 * sizeof(float) * reference::kVocab) << "the logits at least";
}

TEST_F(TransformerTest, RefusesWhatDoesNotFit) {
  EXPECT_THROW(forward_backward(reference::as_input(reference::random_batch(3, 3, 8))), Error);
  EXPECT_THROW(forward_backward(reference::as_input(reference::random_batch(3, 1, 7))), Error);
  dense_.pop_back();
  EXPECT_THROW(forward_backward(reference::as_input(batch_)), Error);
}

TEST_F(TransformerTest, CountsPhasesAndOps) {
  forward_backward(reference::as_input(batch_));
  const PhaseSeconds seconds = profile_.seconds();
  for (const Phase phase : {Phase::kForward, Phase::kRouter, Phase::kDispatch, Phase::kExpert,
                            Phase::kCombine, Phase::kBackward}) {
    EXPECT_GT(seconds[static_cast<std::size_t>(phase)], 0.0);
  }
  EXPECT_GT(profile_.work(Phase::kExpert, OpKind::kGemm).flop, 0.0);
  EXPECT_EQ(profile_.work(Phase::kExpert, OpKind::kAttention).calls, 0);
  EXPECT_EQ(profile_.work(Phase::kForward, OpKind::kAttention).calls, options_.layers);
}

}  // namespace
}  // namespace troupe::model
