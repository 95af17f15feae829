#include "model/generation/decoder.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "model/activation_memory.h"
#include "model/cost.h"
#include "model/widths.h"

namespace troupe::model {
namespace {

experts::ModelExpertGroup group_of(const Model& model) {
  return {*model.groups().expert_group, model.layout().placements(at(moe_layers(model.options()))), {}};
}

std::int64_t arena_bytes(const Model& model, std::int64_t tokens) {
  const TransformerShape shape{
      .vocab_size = model.shape().vocab_size, .sequence_length = tokens, .max_tokens = tokens};
  const int workers = model.groups().expert_group->size();
  const std::int64_t logits = model.shape().vocab_size + model.options().hidden_size;
  std::int64_t absorbed = 0;  // queries and what attention gives, as wide as latents
  for (const AttentionOptions& mixer : layer_mixers(model.options())) {
    if (mixer.kind == AttentionKind::kMla)
      absorbed = std::max(absorbed, mixer.heads * (mixer.latent.rope_dim + 2 * mixer.latent.kv_rank));
  }
  return activation_bytes_bound(model.options(), shape,
                                {workers, static_cast<int>(model.options().moe.experts), {}}) +
         static_cast<std::int64_t>(sizeof(float)) * tokens * (logits + absorbed);
}

}  // namespace

Decoder::Decoder(Model& model, const CacheShape& shape, std::int64_t most_tokens)
    : model_(model),
      shape_(shape),
      most_tokens_(most_tokens),
      group_(group_of(model)),
      exchange_(experts::make_exchange(group_.communicator, group_.dispatch)),
      arena_(at(arena_bytes(model, most_tokens))),
      rope_(std::max<std::int64_t>(shape.capacity, 1)),
      spans_(layer_specs(model.options())),
      embedding_(model.dense_table(), "embedding/", model.options().embedding.scale,
                 model.options().embedding.positions),
      final_norm_(layers::NormLayer::in_folder(model.dense_table(), "final_norm/", model.options().norm)),
      head_(head_projection(model.options(), model.dense_table(), embedding_), head_logits(model.options()),
            0.0, 1, nullptr),
      ignored_(model.transformer().make_result()) {
  TROUPE_CHECK(model.accelerator() == nullptr, "a decoder computes on the host");
  const BlockContext context{model.options().moe,
                             {std::max<std::int64_t>(shape.capacity, 1), rope_, spans_, model.dense_table()},
                             model.expert_table(),
                             group_,
                             *exchange_};
  blocks_.reserve(at(model.options().layers));
  for (const LayerSpec& layer : layer_specs(model.options())) {
    if (layer.layer == model.options().layers) break;  // multi-token prediction is for training
    blocks_.emplace_back(layer, context);
    caches_.push_back(blocks_.back().make_saved());
    caches_.back().mixer->cache.emplace(shape.sequences, KeySpan(layer.mixer).positions(shape.capacity),
                                        cached_numbers(layer.mixer), rows_);
  }
}

MicrobatchInput Decoder::input_of(std::span<const NextToken> tokens) {
  const std::int64_t count = std::ssize(tokens);
  integers_.clear();
  integers_.reserve(at((4 + spans_.count()) * most_tokens_));  // views stay where they are
  for (const NextToken& token : tokens) integers_.push_back(token.token);
  for (const NextToken& token : tokens) integers_.push_back(token.sequence);
  for (const NextToken& token : tokens) integers_.push_back(token.position);
  integers_.resize(integers_.size() + tokens.size());  // every sequence is one document
  spans_.append_cached(std::span<const std::int32_t>(integers_).subspan(2 * tokens.size(), tokens.size()),
                       integers_);
  const auto view = [&](std::int64_t number) {
    return ConstTensorView(integers_.data() + number * count, Shape{count});
  };
  rows_.sequences = view(1);
  span_views_.clear();
  for (std::int64_t span = 0; span < spans_.count(); ++span) span_views_.push_back(view(4 + span));
  return {
      .tokens = view(0), .targets = {}, .positions = view(2), .first_visible = view(3), .spans = span_views_};
}

/// As Transformer's, but with the blocks' caches.
ConstTensorView Decoder::through_blocks(const Pass& pass, const StepContext& step) {
  const Shape stream{pass.microbatch.tokens.elements(), model_.options().hidden_size};
  TensorView x = arena_.allocate(stream);
  TensorView y = arena_.allocate(stream);
  const TensorView shortcut = model_.options().moe.shortcut ? arena_.allocate(stream) : TensorView();
  embedding_.forward(pass, pass.microbatch.tokens, pass.microbatch.positions, x);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const ArenaScope scope(arena_);
    blocks_[i].forward(pass, x, step, caches_[i], ignored_, y, shortcut);
    std::swap(x, y);
  }
  return x;
}

void Decoder::decode(std::span<const NextToken> tokens, std::span<const std::int64_t> wanted,
                     std::span<float> logits) {
  const std::int64_t vocab = model_.shape().vocab_size;
  TROUPE_CHECK(std::ssize(tokens) <= most_tokens_ && std::ssize(logits) == std::ssize(wanted) * vocab,
               "{} tokens at once, at most {}; {} logits for {} of them", tokens.size(), most_tokens_,
               logits.size(), wanted.size());
  arena_.reset();
  const StepContext step = model_.frozen_context();
  const Weights weights = model_.weights();
  const Pass pass{.execution = model_.execution(),
                  .arena = arena_,
                  .dense = weights.dense,
                  .experts = weights.experts,
                  .microbatch = input_of(tokens),
                  .seed = step.seed};
  const ConstTensorView x = through_blocks(pass, step);
  if (wanted.empty()) return;
  const TensorView chosen = arena_.allocate({std::ssize(wanted), x.columns()});
  for (std::size_t i = 0; i < wanted.size(); ++i)
    std::copy_n(x.f32() + wanted[i] * x.row_stride(), x.columns(),
                chosen.f32() + static_cast<std::int64_t>(i) * x.columns());
  const layers::NormLayer::Saved normed = final_norm_.forward(pass, chosen);
  head_.logits(pass, normed.y, TensorView(logits.data(), Shape{std::ssize(wanted), vocab}));
}

std::int64_t Decoder::cache_bytes() const {
  std::int64_t bytes = 0;
  for (const Block::Saved& cache : caches_) bytes += cache.mixer->cache->bytes();
  return bytes;
}

}  // namespace troupe::model
