#include "model/transformer.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "base/progress.h"
#include "model/activation_memory.h"
#include "model/load_shape.h"
#include "model/parameters.h"
#include "model/widths.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/transfer.h"

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

std::int64_t flat_size(const ConstTensorView& buffer) {
  return buffer.data() == nullptr ? 0 : buffer.elements();
}

std::int64_t most_local_experts(const experts::ModelExpertGroup& group) {
  std::int64_t most = 0;
  for (std::size_t layer = 0; layer < group.placement.size(); ++layer) {
    most = std::max<std::int64_t>(most, group.layer(layer).local_experts());
  }
  return most;
}

/// With the larger pieces of a device, which declarations do not know.
std::int64_t arena_bytes(const ModelOptions& options, const TransformerShape& shape,
                         const experts::DispatchGroup& group, const Execution& execution) {
  const std::int64_t bound = activation_bytes_bound(options, shape, group);
  if (execution.accelerator == nullptr) return bound;
  const std::int64_t width =
      std::max(ffn_width(options), options.moe.shared_experts * options.moe.expert_size);
  const std::int64_t logits = (options.logits.softcap > 0.0 ? 2 : 1) * shape.vocab_size;
  constexpr std::int64_t kFloatBytes = 4;
  return bound + kFloatBytes * std::min(kDevicePieceRows, shape.max_tokens) * (width + logits);
}

}  // namespace

Transformer::Transformer(const ModelOptions& options, const TransformerShape& shape,
                         const ParameterTable& dense, const ParameterTable& expert_table,
                         const experts::ModelExpertGroup& group, Execution execution)
    : options_(options),
      shape_(shape),
      dense_(dense),
      experts_(expert_table),
      group_size_(group.communicator.size()),
      exchange_(experts::make_exchange(group.communicator, group.dispatch)),
      execution_(execution),
      arena_(
          at(arena_bytes(options, shape,
                         {group.communicator.size(), most_local_experts(group), group.dispatch}, execution)),
          execution.accelerator),
      rope_(shape.sequence_length, execution.accelerator),
      spans_(layer_specs(options)),
      embedding_(dense, "embedding/", options.embedding.scale, options.embedding.positions),
      embedding_dropout_(options.dropout.embedding, 0),
      final_norm_(layers::NormLayer::in_folder(dense, "final_norm/", options.norm)) {
  if (options.objective.is_reward()) {
    reward_head_.emplace(dense, "reward_head/weight");
  } else {
    head_.emplace(head_projection(options, dense, embedding_), head_logits(options), options.loss.z_loss,
                  shape.max_tokens, execution.accelerator);
  }
  if (options.objective.compares()) scores_.reserve(at(shape.max_tokens / 2));
  const BlockContext context{
      options.moe, {shape.sequence_length, rope_, spans_, dense}, expert_table, group, *exchange_};
  blocks_.reserve(at(options.layers));
  TROUPE_CHECK(options.mtp.depth == 0 || (head_ && execution.accelerator == nullptr),
               "multi-token prediction needs a head, on a host");
  for (const LayerSpec& layer : layer_specs(options)) {
    if (layer.layer < options.layers) {
      blocks_.emplace_back(layer, context);
      continue;
    }
    mtp_.emplace_back(layer.layer - options.layers + 1, layer, context, embedding_);
    mtp_heads_.emplace_back(head_projection(options, dense, embedding_), head_logits(options), 0.0,
                            shape.max_tokens, nullptr);
  }
  for (std::int64_t i = 0; i < shape.held; ++i) held_.push_back(make_held());
  scratch_ = make_held();
}

MicrobatchResult Transformer::make_result() const {
  MicrobatchResult result;
  const auto layers = at(moe_layers(options_));
  result.aux_loss.resize(layers * options_.moe.aux_loss.size());
  result.router_z_loss.resize(layers);
  result.load = layout::LoadStatistics(load_shape(options_, shape_.domains));
  return result;
}

Transformer::Held Transformer::make_held() const {
  Held held;
  for (const Block& block : blocks_) held.blocks.push_back(block.make_saved());
  for (const MtpModule& module : mtp_) held.mtp.push_back(module.make_saved(shape_.max_tokens));
  if (options_.objective.compares()) held.integers.pairs.reserve(at(shape_.max_tokens / 2));
  return held;
}

void Transformer::forward(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                          MicrobatchResult& result) {
  TROUPE_CHECK(holds_ < held_.size(), "{} microbatches are held, no more can be", holds_);
  if (holds_ == 0) arena_.reset();
  const PhaseScope phase(execution_, Phase::kForward);
  Held& held = held_[holds_++];
  held.input = execution_.accelerator == nullptr ? kept(checked(input, true), held.integers)
                                                 : placed(checked(input, true), held.integers);
  const Pass pass = make_training_pass(held.input, step, weights);
  TensorView x = embed(pass);
  TensorView shortcut;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    progress::set_layer(static_cast<std::int64_t>(i));
    const TensorView y = arena_.allocate(x.shape());
    if (blocks_[i].begins_shortcut()) shortcut = arena_.allocate(x.shape());
    const Arena::Mark inside = arena_.mark();
    blocks_[i].forward(pass, x, step, held.blocks[i], result, y, shortcut);
    if (shape_.recompute) arena_.release_to(inside);
    x = y;
  }
  held.x = x;
  held.normed = final_norm_.forward(pass, x);
  forward_mtp(pass, step, held.normed.y, !shape_.recompute, held.mtp, result);
}

/// keep: for backward; else only what the modules give each other.
void Transformer::forward_mtp(const Pass& pass, const StepContext& step, ConstTensorView normed, bool keep,
                              std::vector<MtpModule::Saved>& saved, MicrobatchResult& result) {
  for (std::size_t i = 0; i < mtp_.size(); ++i) {
    progress::set_layer(options_.layers + static_cast<std::int64_t>(i));
    if (keep) {
      normed = mtp_[i].forward(pass, normed, step, saved[i], result);
      continue;
    }
    const TensorView out = arena_.allocate(normed.shape());
    const ArenaScope inside(arena_);
    ops::affine(execution_, mtp_[i].forward(pass, normed, step, saved[i], result), 1.0F, 0.0F, out);
    normed = out;
  }
}

void Transformer::backward(std::size_t number, const StepContext& step, const Weights& weights,
                           const Gradients& gradients, MicrobatchResult& result) {
  TROUPE_CHECK(number < holds_, "backward of microbatch {} of {} that are held", number, holds_);
  check_gradients(gradients);
  const PhaseScope phase(execution_, Phase::kBackward);
  const ArenaScope scope(arena_);
  Held& held = held_[number];
  const Pass pass = make_training_pass(held.input, step, weights, gradients);
  const double scale = step.target_tokens > 0 ? 1.0 / static_cast<double>(step.target_tokens) : 0.0;
  const TensorView dnormed = arena_.allocate(held.x.shape());
  backward_head(pass, held, scale, dnormed);
  if (!mtp_.empty()) backward_mtp(pass, step, held, scale, dnormed, result);
  const TensorView gradient = arena_.allocate(held.x.shape());
  ops::zero(execution_, gradient);
  final_norm_.backward(pass, dnormed, held.x, held.normed, gradient);
  backward_blocks(pass, step, held, gradient, result);
  embedding_dropout_.apply(pass, gradient);
  embedding_.backward(
      pass, held.input.tokens, held.input.positions, gradient,
      !mtp_.empty() || (options_.tie_embeddings && head_) ? ops::Accumulate::kYes : ops::Accumulate::kNo);
  if (execution_.accelerator != nullptr) execution_.accelerator->finish_downloads();
  fill_losses(held, result);
}

/// Overwrites dnormed: [tokens, hidden] with the gradient of scale times what is minimised.
void Transformer::backward_head(const Pass& pass, const Held& held, double scale, TensorView dnormed) {
  const ConstTensorView x = held.normed.y;
  scores_.resize(held.input.pairs.size());
  if (reward_head_) {
    reward_head_->forward_backward(pass, x, options_.objective, scale, scores_, dnormed);
  } else if (options_.objective.compares()) {
    head_->forward_backward_pairs(pass, x, held.input.targets, options_.objective, scale, scores_, dnormed);
  } else {
    const WeightedRows all{.begin = 0, .end = x.rows(), .weight = scale};
    head_->forward_backward(pass, x, held.input.targets, {&all, 1}, dnormed);
  }
}

/// Of the modules' losses, last to first; added to dnormed.
void Transformer::backward_mtp(const Pass& pass, const StepContext& step, Held& held, double scale,
                               TensorView dnormed, MicrobatchResult& result) {
  const ArenaScope scope(arena_);
  const TensorView dhidden = arena_.allocate(dnormed.shape());
  const WeightedRows all{.begin = 0,
                         .end = dnormed.rows(),
                         .weight = scale * options_.mtp.loss_weight / static_cast<double>(mtp_.size())};
  auto embedding = options_.tie_embeddings ? ops::Accumulate::kYes : ops::Accumulate::kNo;
  for (std::size_t i = mtp_.size(); i-- > 0;) {
    progress::set_layer(options_.layers + static_cast<std::int64_t>(i));
    const ArenaScope of_module(arena_);
    MtpModule::Saved& saved = held.mtp[i];
    const TensorView dy = arena_.allocate(dnormed.shape());
    if (shape_.recompute) mtp_[i].forward(pass, saved.hidden, step, saved, result);
    mtp_heads_[i].forward_backward(pass, saved.head_norm.y, saved.targets, {&all, 1}, dy,
                                   ops::Accumulate::kYes);
    if (i + 1 < mtp_.size()) ops::add(execution_, dhidden, dy);
    mtp_[i].backward(pass, step, saved, result, dy, embedding, dhidden);
    embedding = ops::Accumulate::kYes;
  }
  ops::add(execution_, dhidden, dnormed);
}

void Transformer::fill_losses(const Held& held, MicrobatchResult& result) const {
  if (options_.objective.compares()) return fill_pairs(options_.objective, held.input.pairs, scores_, result);
  head_->add_sums(held.input, result);
  result.mtp_nll = 0.0;
  for (const Head& head : mtp_heads_) result.mtp_nll += head.nll_sum(held.input.tokens.elements());
}

/// gradient: of the last block's output; becomes that of the first one's input.
void Transformer::backward_blocks(const Pass& pass, const StepContext& step, Held& held, TensorView gradient,
                                  MicrobatchResult& result) {
  const ArenaScope of_shortcut(arena_);
  const TensorView shortcut = options_.moe.shortcut ? arena_.allocate(held.x.shape()) : TensorView();
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    progress::set_layer(static_cast<std::int64_t>(i));
    const ArenaScope scope(arena_);
    Block::Saved& saved = held.blocks[i];
    if (shape_.recompute) {  // counts come out as they are
      const TensorView y = arena_.allocate(held.x.shape());
      const TensorView again = options_.moe.shortcut ? arena_.allocate(held.x.shape()) : TensorView();
      blocks_[i].forward(pass, saved.x, step, saved, result, y, again);
    }
    blocks_[i].backward(pass, step, saved, result, gradient, shortcut);
  }
}

void Transformer::release() { holds_ = 0; }

void Transformer::forward_backward(const MicrobatchInput& input, const StepContext& step,
                                   const Weights& weights, const Gradients& gradients,
                                   MicrobatchResult& result) {
  release();
  check_gradients(gradients);
  forward(input, step, weights, result);
  backward(0, step, weights, gradients, result);
}

void Transformer::count(const MicrobatchInput& input, const StepContext& step, const Weights& weights,
                        MicrobatchResult& result) {
  if (holds_ == 0) arena_.reset();
  const PhaseScope phase(execution_, Phase::kForward);
  const ArenaScope scope(arena_);
  const MicrobatchInput there = placed(checked(input, true), passing_integers_);
  const Pass pass = make_training_pass(there, step, weights);
  const ConstTensorView x = forward_only(pass, step, result);
  if (!mtp_.empty())
    forward_mtp(pass, step, final_norm_.forward(pass, x).y, /*keep=*/false, scratch_.mtp, result);
}

void Transformer::evaluate(const MicrobatchInput& given, const StepContext& step, const Weights& weights,
                           std::span<double> token_nll, MicrobatchResult& result) {
  const MicrobatchInput input = placed(checked(given, true), passing_integers_);
  TROUPE_CHECK(static_cast<std::int64_t>(token_nll.size()) == token_count(input), "{} losses for {} tokens",
               token_nll.size(), token_count(input));
  release();
  arena_.reset();
  const PhaseScope phase(execution_, Phase::kForward);
  const Pass pass = make_pass(input, step, weights);
  const layers::NormLayer::Saved normed = final_norm_.forward(pass, forward_only(pass, step, result));
  TROUPE_CHECK(head_, "a reward model predicts no token");
  head_->forward(pass, normed.y, input.targets, token_nll, result);
}

void Transformer::score(const MicrobatchInput& given, const StepContext& step, const Weights& weights,
                        std::span<PairScores> scores, MicrobatchResult& result) {
  const MicrobatchInput input = placed(checked(given, true), passing_integers_);
  TROUPE_CHECK(options_.objective.compares() && scores.size() == input.pairs.size() &&
                   execution_.accelerator == nullptr,
               "scores of {} pairs for {}, of an objective that compares, on a host", scores.size(),
               input.pairs.size());
  release();
  arena_.reset();
  const PhaseScope phase(execution_, Phase::kForward);
  const Pass pass = make_pass(input, step, weights);
  const layers::NormLayer::Saved normed = final_norm_.forward(pass, forward_only(pass, step, result));
  if (reward_head_) return reward_head_->score(pass, normed.y, scores);
  head_->score(pass, normed.y, input.targets, scores);
}

void Transformer::logits_of_row(const MicrobatchInput& given, const StepContext& step, const Weights& weights,
                                std::int64_t row, std::span<float> logits) {
  const MicrobatchInput input = placed(checked(given, false), passing_integers_);
  const std::int64_t expected = token_count(input) == 0 ? 0 : shape_.vocab_size;
  TROUPE_CHECK(static_cast<std::int64_t>(logits.size()) == expected, "{} logits, expected {}", logits.size(),
               expected);
  release();
  arena_.reset();
  MicrobatchResult ignored = make_result();
  const Pass pass = make_pass(input, step, weights);
  const layers::NormLayer::Saved normed = final_norm_.forward(pass, forward_only(pass, step, ignored));
  TROUPE_CHECK(head_, "a reward model predicts no token");
  if (expected > 0) head_->logits_of_row(pass, normed.y, row, logits);
}

MicrobatchInput Transformer::checked(const MicrobatchInput& input, bool with_targets) const {
  const std::int64_t tokens = token_count(input);
  TROUPE_CHECK(tokens <= shape_.max_tokens && tokens % shape_.sequence_length == 0,
               "a microbatch of {} tokens: at most {}, in sequences of {}", tokens, shape_.max_tokens,
               shape_.sequence_length);
  const bool has_domains = input.domains.data() != nullptr;
  MicrobatchInput all{
      .tokens = as_integers(input.tokens, tokens, "tokens"),
      .targets = with_targets ? as_integers(input.targets, tokens, "targets") : ConstTensorView(),
      .positions = as_integers(input.positions, tokens, "positions"),
      .first_visible = as_integers(input.first_visible, tokens, "first_visible"),
      .domains = has_domains ? as_integers(input.domains, tokens, "domains") : ConstTensorView(),
      .first_token = input.first_token,
      .sequence_length = shape_.sequence_length,
      .pairs = input.pairs};
  check_pairs(all);
  if (has_domains && shape_.domains > 0) check_domains(all);
  if (with_targets) {
    const std::span<const std::int32_t> targets(all.targets.i32(), at(tokens));
    all.target_tokens = std::ranges::count_if(targets, [](std::int32_t target) { return target >= 0; });
  }
  if (execution_.accelerator != nullptr) check_contents(all);
  return all;
}

void Transformer::check_pairs(const MicrobatchInput& input) const {
  std::int64_t before = 0;
  for (const PreferencePair& pair : input.pairs) {
    TROUPE_CHECK(options_.objective.compares() && before <= pair.chosen && pair.chosen < pair.rejected &&
                     pair.rejected < pair.end && pair.end <= token_count(input),
                 "a pair of [{}, {}, {}) after {} in {} tokens", pair.chosen, pair.rejected, pair.end, before,
                 token_count(input));
    before = pair.end;
  }
}

/// Load is counted by them.
void Transformer::check_domains(const MicrobatchInput& input) const {
  const std::span<const std::int32_t> domains(input.domains.i32(), at(token_count(input)));
  if (domains.empty()) return;
  const auto [least, most] = std::ranges::minmax(domains);
  TROUPE_CHECK(least >= 0 && most < shape_.domains, "domains {} to {} of a model that counts {}", least, most,
               shape_.domains);
}

/// What ops on a host check by themselves.
void Transformer::check_contents(const MicrobatchInput& input) const {
  const std::int64_t tokens = token_count(input);
  std::int32_t visible = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const std::int64_t place = t % shape_.sequence_length;
    const std::int32_t before = place == 0 ? 0 : visible;
    const std::int32_t target = input.targets.data() == nullptr ? -1 : input.targets.i32()[t];
    visible = input.first_visible.i32()[t];
    const auto inside = [](std::int64_t value, std::int64_t least, std::int64_t end) {
      return value >= least && value < end;
    };
    TROUPE_CHECK(
        inside(input.tokens.i32()[t], 0, shape_.vocab_size) && inside(target, -1, shape_.vocab_size) &&
            inside(input.positions.i32()[t], 0, shape_.sequence_length) && inside(visible, before, place + 1),
        "microbatch: at {}: token {} and target {} of {}, position {}, first_visible {} after {}", t,
        input.tokens.i32()[t], target, shape_.vocab_size, input.positions.i32()[t], visible, before);
  }
}

/// The input's spans of keys, in host memory of `place`, after what is there.
void Transformer::add_spans(MicrobatchInput& input, Integers& place) const {
  const std::int64_t tokens = token_count(input);
  const std::size_t begin = place.values.size();
  place.values.reserve(at((5 + spans_.count()) * shape_.max_tokens));  // views stay where they are
  spans_.append(input, place.values);
  place.spans.clear();
  for (std::int64_t span = 0; span < spans_.count(); ++span)
    place.spans.emplace_back(place.values.data() + begin + at(span * tokens), Shape{tokens});
  input.spans = place.spans;
}

/// The input where layers compute: as it is on the host; on a device a copy in `place`.
MicrobatchInput Transformer::placed(const MicrobatchInput& given, Integers& place) const {
  Accelerator* accelerator = execution_.accelerator;
  MicrobatchInput input = given;
  place.values.clear();
  add_spans(input, place);
  if (accelerator == nullptr) return input;
  const std::int64_t views = 5 + spans_.count();
  Tensor& values = place.device_values;
  if (values.view().data() == nullptr)
    values = Tensor({views * std::max<std::int64_t>(shape_.max_tokens, 1)}, DType::kI32, accelerator);
  std::int64_t begin = 0;
  const auto copy = [&](ConstTensorView& view) {
    if (view.shape().rank() == 0) return;
    const TensorView there = values.view().rows(begin, view.elements());
    begin += view.elements();
    transfer(accelerator, view, there);
    view = there;
  };
  copy(input.tokens);
  copy(input.targets);
  copy(input.positions);
  copy(input.first_visible);
  copy(input.domains);
  for (ConstTensorView& span : place.spans) copy(span);
  return input;
}

/// The caller's integers may be gone when backward comes: these are copies.
MicrobatchInput Transformer::kept(const MicrobatchInput& given, Integers& place) const {
  MicrobatchInput input = given;
  place.pairs.assign(given.pairs.begin(), given.pairs.end());
  input.pairs = place.pairs;
  place.values.clear();
  place.values.reserve(at((5 + spans_.count()) * shape_.max_tokens));
  const auto copy = [&](ConstTensorView& view) {
    if (view.data() == nullptr) return;
    const std::size_t begin = place.values.size();
    place.values.insert(place.values.end(), view.i32(), view.i32() + view.elements());
    view = {place.values.data() + begin, view.shape()};
  };
  copy(input.tokens);
  copy(input.targets);
  copy(input.positions);
  copy(input.first_visible);
  copy(input.domains);
  add_spans(input, place);
  return input;
}

void Transformer::check_gradients(const Gradients& gradients) const {
  TROUPE_CHECK(flat_size(gradients.dense) == dense_.buffer_elements(),
               "dense gradient of {} elements, expected {}", flat_size(gradients.dense),
               dense_.buffer_elements());
  if (moe_layers(options_) == 0) return;
  TROUPE_CHECK(gradients.lane_of_source.size() == at(group_size_), "lanes of {} ranks, expected {}",
               gradients.lane_of_source.size(), group_size_);
  for (const TensorView& lane : gradients.expert_lanes) {
    TROUPE_CHECK(flat_size(lane) == experts_.buffer_elements(), "an expert lane of {} elements, expected {}",
                 flat_size(lane), experts_.buffer_elements());
  }
}

Pass Transformer::make_pass(const MicrobatchInput& input, const StepContext& step, const Weights& weights) {
  TROUPE_CHECK(flat_size(weights.dense) == dense_.buffer_elements() &&
                   flat_size(weights.experts) == experts_.buffer_elements(),
               "weights of {} and {} elements, expected {} and {}", flat_size(weights.dense),
               flat_size(weights.experts), dense_.buffer_elements(), experts_.buffer_elements());
  TROUPE_CHECK(static_cast<std::int64_t>(step.bias.size()) == moe_layers(options_) * options_.moe.choices(),
               "balance bias of {} elements for {} layers of {} choices", step.bias.size(),
               moe_layers(options_), options_.moe.choices());
  return {.execution = execution_,
          .arena = arena_,
          .dense = weights.dense,
          .experts = weights.experts,
          .microbatch = input,
          .seed = step.seed};
}

Pass Transformer::make_training_pass(const MicrobatchInput& input, const StepContext& step,
                                     const Weights& weights, const Gradients& gradients) {
  Pass training = make_pass(input, step, weights);
  training.dense_gradient = gradients.dense;
  training.expert_gradient_lanes = gradients.expert_lanes;
  training.lane_of_source = gradients.lane_of_source;
  training.training = true;
  return training;
}

TensorView Transformer::embed(const Pass& pass) {
  const ConstTensorView& tokens = pass.microbatch.tokens;
  const TensorView x = arena_.allocate({tokens.elements(), options_.hidden_size});
  embedding_.forward(pass, tokens, pass.microbatch.positions, x);
  embedding_dropout_.apply(pass, x);
  return x;
}

/// The last block's output.
ConstTensorView Transformer::forward_only(const Pass& pass, const StepContext& step,
                                          MicrobatchResult& result) {
  TensorView x = embed(pass);
  TensorView y = arena_.allocate(x.shape());
  const TensorView shortcut = options_.moe.shortcut ? arena_.allocate(x.shape()) : TensorView();
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const ArenaScope scope(arena_);
    blocks_[i].forward(pass, x, step, scratch_.blocks[i], result, y, shortcut);
    std::swap(x, y);
  }
  return x;
}

}  // namespace troupe::model
