#include "model/transformer.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "experts/balancer/balancer.h"
#include "layers/embedding.h"
#include "layers/norm_layer.h"
#include "model/activation_memory.h"
#include "model/block.h"
#include "model/head.h"
#include "model/load_shape.h"
#include "model/parameters.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

std::int64_t token_count(const MicrobatchInput& input) {
  return input.tokens.shape().rank() == 0 ? 0 : input.tokens.elements();
}

/// A [count] i32 view also of what the caller left empty.
ConstTensorView as_integers(const ConstTensorView& view, std::int64_t count, const char* what) {
  if (count == 0) return {static_cast<const std::int32_t*>(nullptr), Shape{0}};
  TROUPE_CHECK(view.shape().rank() == 1 && view.elements() == count && view.dtype() == DType::kI32,
               "microbatch: {} is {}, expected {} integers", what, view.shape().to_string(), count);
  return view;
}

template <class T>
std::span<T> layer_of(std::span<T> all, std::int64_t index, std::int64_t size) {
  if (all.empty()) return {};
  return all.subspan(static_cast<std::size_t>(index * size), static_cast<std::size_t>(size));
}

std::int64_t most_local_experts(const experts::ModelExpertGroup& group) {
  std::int64_t most = 0;
  for (std::size_t layer = 0; layer < group.placement.size(); ++layer) {
    most = std::max<std::int64_t>(most, group.layer(layer).local_experts());
  }
  return most;
}

}  // namespace

class Transformer::Implementation {
 public:
  Implementation(const ModelOptions& options, const TransformerShape& shape, const ParameterTable& dense,
                 const ParameterTable& expert_table, const experts::ModelExpertGroup& group,
                 Execution execution)
      : options_(options),
        shape_(shape),
        dense_(dense),
        experts_(expert_table),
        group_size_(group.communicator.size()),
        exchange_(experts::make_exchange(group.communicator, group.dispatch)),
        execution_(execution),
        arena_(static_cast<std::size_t>(activation_bytes_bound(
            options, shape, {group.communicator.size(), most_local_experts(group), group.dispatch}))),
        rope_(shape.sequence_length),
        embedding_(dense, "embedding/weight"),
        final_norm_(dense, "final_norm/weight", options.norm.eps),
        head_(options.tie_embeddings ? embedding_.weight() : ParameterHandle(dense, "head/weight"),
              options.loss.z_loss, shape.max_tokens) {
    const BlockContext context{options.moe, shape.sequence_length, rope_, dense, expert_table, group,
                               *exchange_};
    blocks_.reserve(static_cast<std::size_t>(options.layers));
    for (const LayerSpec& layer : layer_specs(options)) {
      blocks_.emplace_back(layer, context);
      saved_.push_back(blocks_.back().make_saved());
    }
  }

  [[nodiscard]] MicrobatchResult make_result() const {
    MicrobatchResult result;
    const auto layers = static_cast<std::size_t>(moe_layers(options_));
    result.aux_loss.resize(layers * options_.moe.aux_loss.size());
    result.router_z_loss.resize(layers);
    result.load = layout::LoadStatistics(load_shape(options_, shape_.domains));
    return result;
  }

  void forward_backward(const MicrobatchInput& given, const StepContext& step, const WaveContext& wave,
                        const Weights& weights, const Gradients& gradients, MicrobatchResult& result) {
    check_gradients(wave, gradients);
    const MicrobatchInput input = checked(given, true);
    Pass pass = start(input, weights, step);
    pass.training = true;
    pass.dense_gradient = gradients.dense;
    pass.expert_gradient_lanes = gradients.expert_lanes;
    pass.lane_of_source = wave.lane_of_source;
    ConstTensorView x;
    layers::NormLayer::Saved normed;
    {
      const PhaseScope phase(execution_, Phase::kForward);
      x = forward_blocks(pass, input, step, result);
      normed = final_norm_.forward(pass, x);
    }
    const PhaseScope phase(execution_, Phase::kBackward);
    const auto scale =
        step.target_tokens > 0 ? static_cast<float>(1.0 / static_cast<double>(step.target_tokens)) : 0.0F;
    const TensorView dnormed = arena_.allocate(x.shape());
    head_.forward_backward(pass, normed.y, input.targets, scale, dnormed, result);
    backward_body(pass, input, step, x, normed, dnormed, result);
  }

  void evaluate(const MicrobatchInput& given, const StepContext& step, const Weights& weights,
                std::span<double> token_nll, MicrobatchResult& result) {
    const MicrobatchInput input = checked(given, true);
    TROUPE_CHECK(static_cast<std::int64_t>(token_nll.size()) == token_count(input), "{} losses for {} tokens",
                 token_nll.size(), token_count(input));
    const Pass pass = start(input, weights, step);
    const PhaseScope phase(execution_, Phase::kForward);
    const layers::NormLayer::Saved normed =
        final_norm_.forward(pass, forward_only(pass, input, step, result));
    head_.forward(pass, normed.y, input.targets, token_nll, result);
  }

  void logits_of_row(const MicrobatchInput& given, const StepContext& step, const Weights& weights,
                     std::int64_t row, std::span<float> logits) {
    const MicrobatchInput input = checked(given, false);
    const std::int64_t expected = token_count(input) == 0 ? 0 : shape_.vocab_size;
    TROUPE_CHECK(static_cast<std::int64_t>(logits.size()) == expected, "{} logits, expected {}",
                 logits.size(), expected);
    MicrobatchResult ignored = make_result();
    const Pass pass = start(input, weights, step);
    const layers::NormLayer::Saved normed =
        final_norm_.forward(pass, forward_only(pass, input, step, ignored));
    if (expected > 0) head_.logits_of_row(pass, normed.y, row, logits);
  }

  [[nodiscard]] std::size_t activation_peak_bytes() const { return arena_.peak_bytes(); }

 private:
  [[nodiscard]] MicrobatchInput checked(const MicrobatchInput& input, bool with_targets) const {
    const std::int64_t tokens = token_count(input);
    TROUPE_CHECK(tokens <= shape_.max_tokens && tokens % shape_.sequence_length == 0,
                 "a microbatch of {} tokens: at most {}, in sequences of {}", tokens, shape_.max_tokens,
                 shape_.sequence_length);
    return {
        as_integers(input.tokens, tokens, "tokens"),
        with_targets ? as_integers(input.targets, tokens, "targets") : ConstTensorView(),
        as_integers(input.positions, tokens, "positions"),
        as_integers(input.first_visible, tokens, "first_visible"),
        input.domains.data() == nullptr ? ConstTensorView() : as_integers(input.domains, tokens, "domains"),
        input.tape,
        input.first_token};
  }

  void check_gradients(const WaveContext& wave, const Gradients& gradients) const {
    TROUPE_CHECK(static_cast<std::int64_t>(gradients.dense.size()) == dense_.buffer_elements(),
                 "dense gradient of {} elements, expected {}", gradients.dense.size(),
                 dense_.buffer_elements());
    if (moe_layers(options_) == 0) return;
    TROUPE_CHECK(wave.lane_of_source.size() == static_cast<std::size_t>(group_size_),
                 "lanes of {} ranks, expected {}", wave.lane_of_source.size(), group_size_);
    for (const auto lane : gradients.expert_lanes) {
      TROUPE_CHECK(static_cast<std::int64_t>(lane.size()) == experts_.buffer_elements(),
                   "an expert lane of {} elements, expected {}", lane.size(), experts_.buffer_elements());
    }
  }

  [[nodiscard]] Pass start(const MicrobatchInput& input, const Weights& weights, const StepContext& step) {
    TROUPE_CHECK(static_cast<std::int64_t>(weights.dense.size()) == dense_.buffer_elements() &&
                     static_cast<std::int64_t>(weights.experts.size()) == experts_.buffer_elements(),
                 "weights of {} and {} elements, expected {} and {}", weights.dense.size(),
                 weights.experts.size(), dense_.buffer_elements(), experts_.buffer_elements());
    TROUPE_CHECK(static_cast<std::int64_t>(step.bias.size()) == moe_layers(options_) * options_.moe.choices(),
                 "balance bias of {} elements for {} layers of {} choices", step.bias.size(),
                 moe_layers(options_), options_.moe.choices());
    arena_.reset();
    return {execution_,
            arena_,
            weights.dense,
            weights.experts,
            {},
            {},
            {},
            {step.seed, input.first_token, shape_.sequence_length, input.domains}};
  }

  [[nodiscard]] experts::RouterStep router_step(const StepContext& step, std::int64_t layer,
                                                const experts::RoutingTape& tape = {}) const {
    if (!is_moe_layer(options_, layer)) return {};
    const std::int64_t index = moe_index(options_, layer);
    const std::int64_t choices = options_.moe.choices();
    return {layer_of(step.bias, index, choices),
            layer_of(step.previous_counts, index, choices),
            layer_of(step.previous_unbiased_counts, index, choices),
            step.aux_coefficients,
            step.routed_tokens,
            layer_of(step.running_counts, index, choices),
            layer_of(step.running_unbiased_counts, index, choices),
            tape.layer(index, moe_layers(options_))};
  }

  [[nodiscard]] experts::RouterSums router_sums(MicrobatchResult& result, std::int64_t layer) const {
    if (!is_moe_layer(options_, layer)) return {};
    const std::int64_t index = moe_index(options_, layer);
    return {
        result.load.layer(static_cast<int>(index)),
        layer_of(std::span(result.aux_loss), index, static_cast<std::int64_t>(options_.moe.aux_loss.size())),
        &result.router_z_loss[static_cast<std::size_t>(index)]};
  }

  [[nodiscard]] TensorView embed(const Pass& pass, const MicrobatchInput& input) {
    const TensorView x = arena_.allocate({token_count(input), options_.hidden_size});
    embedding_.forward(pass, input.tokens, x);
    return x;
  }

  /// Keeps what backward needs: of every block all of it or, where it is computed again, its input.
  [[nodiscard]] ConstTensorView forward_blocks(const Pass& pass, const MicrobatchInput& input,
                                               const StepContext& step, MicrobatchResult& result) {
    TensorView x = embed(pass, input);
    for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
      const TensorView y = arena_.allocate(x.shape());
      const Arena::Mark inside = arena_.mark();
      forward_block(pass, input, step, layer, x, y, result);
      if (shape_.recompute) arena_.release_to(inside);
      x = y;
    }
    return x;
  }

  [[nodiscard]] ConstTensorView forward_only(const Pass& pass, const MicrobatchInput& input, StepContext step,
                                             MicrobatchResult& result) {
    step.routed_tokens = 0;
    TensorView x = embed(pass, input);
    TensorView y = arena_.allocate(x.shape());
    for (std::int64_t layer = 0; layer < options_.layers; ++layer) {
      const ArenaScope scope(arena_);
      forward_block(pass, input, step, layer, x, y, result);
      std::swap(x, y);
    }
    return x;
  }

  void forward_block(const Pass& pass, const MicrobatchInput& input, const StepContext& step,
                     std::int64_t layer, ConstTensorView x, TensorView y, MicrobatchResult& result) {
    const auto index = static_cast<std::size_t>(layer);
    blocks_[index].forward(pass, x, {input.positions, input.first_visible},
                           router_step(step, layer, input.tape), router_sums(result, layer), saved_[index],
                           y);
  }

  void backward_body(const Pass& pass, const MicrobatchInput& input, const StepContext& step,
                     ConstTensorView x, const layers::NormLayer::Saved& normed, ConstTensorView dnormed,
                     MicrobatchResult& result) {
    const TensorView gradient = arena_.allocate(x.shape());
    ops::zero(execution_, gradient.floats());
    final_norm_.backward(pass, dnormed, x, normed, gradient);
    for (std::int64_t layer = options_.layers - 1; layer >= 0; --layer) {
      const auto index = static_cast<std::size_t>(layer);
      const ArenaScope scope(arena_);
      if (shape_.recompute) {  // counts and losses come out as they are
        const TensorView y = arena_.allocate(x.shape());
        forward_block(pass, input, step, layer, saved_[index].x, y, result);
      }
      blocks_[index].backward(pass, {input.positions, input.first_visible}, router_step(step, layer),
                              router_sums(result, layer).load, saved_[index], gradient);
    }
    embedding_.backward(pass, input.tokens, gradient,
                        options_.tie_embeddings ? ops::Accumulate::kYes : ops::Accumulate::kNo);
  }

  ModelOptions options_;
  TransformerShape shape_;
  const ParameterTable& dense_;
  const ParameterTable& experts_;
  int group_size_;
  std::unique_ptr<experts::Exchange> exchange_;  // of all layers
  Execution execution_;
  Arena arena_;
  RopeTables rope_;
  layers::Embedding embedding_;
  layers::NormLayer final_norm_;
  Head head_;
  std::vector<Block> blocks_;
  std::vector<Block::Saved> saved_;  // of the microbatch in work
};

Transformer::Transformer(const ModelOptions& options, const TransformerShape& shape,
                         const ParameterTable& dense, const ParameterTable& experts,
                         const experts::ModelExpertGroup& group, Execution execution)
    : implementation_(std::make_unique<Implementation>(options, shape, dense, experts, group, execution)) {}

Transformer::~Transformer() = default;

MicrobatchResult Transformer::make_result() const { return implementation_->make_result(); }

void Transformer::forward_backward(const MicrobatchInput& input, const StepContext& step,
                                   const WaveContext& wave, const Weights& weights,
                                   const Gradients& gradients, MicrobatchResult& result) {
  implementation_->forward_backward(input, step, wave, weights, gradients, result);
}

void Transformer::evaluate(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                           std::span<double> token_nll, MicrobatchResult& result) {
  implementation_->evaluate(input, step, weights, token_nll, result);
}

void Transformer::logits_of_row(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                                std::int64_t row, std::span<float> logits) {
  implementation_->logits_of_row(input, step, weights, row, logits);
}

std::size_t Transformer::activation_peak_bytes() const { return implementation_->activation_peak_bytes(); }

}  // namespace troupe::model
