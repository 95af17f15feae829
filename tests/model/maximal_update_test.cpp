// How far a few updates move what a model computes, at several widths (arXiv 2203.03466, appendix D.1).
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "comm/collectives/inproc/inproc_communicator.h"
#include "model/transformer.h"
#include "tests/reference/fixtures.h"

namespace troupe::model {
namespace {

constexpr std::int64_t kBaseWidth = 16;
constexpr std::int64_t kLength = 9;
constexpr std::int64_t kSequences = 2;

/// Everything as wide as `width`; heads grow, too.
ModelOptions options_of(std::int64_t width, bool parametrized) {
  ModelOptions options = reference::tiny_options();
  options.hidden_size = width;
  options.layers = 2;
  options.tie_embeddings = false;
  options.attention.head_dim = width / 4;
  options.attention.kv_heads = options.attention.heads = 4;
  options.attention.qk_norm = QkNorm::kNone;
  options.ffn.intermediate_size = 2 * width;
  options.moe.first_dense_layers = options.layers;
  options.init.std = 0.25;
  if (parametrized) options.mup = {.base_width = kBaseWidth, .base_head_dim = kBaseWidth / 4};
  return options;
}

class Training {
 public:
  explicit Training(const ModelOptions& options)
      : step_(options, reference::random_step(options, {batch_})),
        weights_(options, 0, 0),
        communicator_(std::move(comm::make_inproc_group(1)[0])),
        model_(options, {reference::kVocab, kLength, kSequences * kLength}, weights_.dense, weights_.experts,
               {*communicator_, {}}, Execution{1}) {}

  [[nodiscard]] std::vector<float> logits() {
    std::vector<float> logits(reference::kVocab);
    model_.logits_of_row(reference::as_input(batch_), step_.context(), weights(), 7, logits);
    return logits;
  }

  /// What Adam's first steps are: as long as the learning rate, whatever the gradient's size. Of the layers'
  /// matrices alone, which is where widths matter.
  void update_layers(double lr) {
    std::vector<float> gradient(weights_.dense_values.size());
    MicrobatchResult result = model_.make_result();
    model_.forward_backward(reference::as_input(batch_), step_.context(), weights(),
                            {.dense = gradient, .expert_lanes = {}, .lane_of_source = {}}, result);
    for (std::size_t i = 0; i < weights_.dense.specs().size(); ++i) {
      const ParameterSpec& spec = weights_.dense.specs()[i];
      if (spec.role != ParameterRole::kInput && spec.role != ParameterRole::kOutput) continue;
      const auto step = static_cast<float>(lr * spec.lr_factor);
      const auto values = weights_.dense.view(std::span(weights_.dense_values), i).floats();
      const auto gradients = weights_.dense.view(std::span(gradient), i).floats();
      for (std::size_t j = 0; j < values.size(); ++j)
        values[j] -= gradients[j] == 0.0F ? 0.0F : std::copysign(step, gradients[j]);
    }
  }

 private:
  [[nodiscard]] Weights weights() const { return {weights_.dense_values, weights_.expert_values}; }

  reference::Batch batch_ = reference::random_batch(1, kSequences, kLength);
  reference::FlatStep step_;
  reference::Weights weights_;
  std::unique_ptr<comm::Communicator> communicator_;
  Transformer model_;
};

/// Root of the mean square of the change of logits by three updates.
double change_of_logits(std::int64_t width, bool parametrized) {
  Training training(options_of(width, parametrized));
  const auto before = training.logits();
  for (int step = 0; step < 3; ++step) training.update_layers(2e-4);
  const auto after = training.logits();
  double squares = 0.0;
  for (std::size_t i = 0; i < after.size(); ++i)
    squares += std::pow(static_cast<double>(after[i] - before[i]), 2.0);
  return std::sqrt(squares / static_cast<double>(after.size()));
}

TEST(MaximalUpdate, UpdatesMoveLogitsAsFarAtEveryWidth) {
  EXPECT_NEAR(change_of_logits(kBaseWidth, false), change_of_logits(kBaseWidth, true), 1e-9)
      << "at the base width nothing changes";
  const double wide = change_of_logits(4 * kBaseWidth, true);
  const double wider = change_of_logits(12 * kBaseWidth, true);
  EXPECT_GT(wider / wide, 0.6);
  EXPECT_LT(wider / wide, 1.6) << "with the base's learning rate it is 2.7";
  EXPECT_GT(change_of_logits(12 * kBaseWidth, false), 5.0 * wider) << "what it is without the rules";
}

}  // namespace
}  // namespace troupe::model
