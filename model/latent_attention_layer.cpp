#include "model/latent_attention_layer.h"

#include <array>
#include <cmath>

#include "tensor/ops/cached_attention/cached_attention.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/heads/heads.h"

namespace troupe::model {
namespace {

using layers::NormLayer;
using layers::Projection;
using ops::Accumulate;

std::string in_layer(const LayerSpec& layer, const char* name) { return layer.prefix + "attention/" + name; }

Projection rows_of(const LayerSpec& layer, const ParameterTable& table, const char* name, std::int64_t first,
                   std::int64_t count) {
  return Projection(table, in_layer(layer, name), false).outputs(first, count);
}

void declare_parameters(layers::Declaration& declaration, const LayerSpec& layer, std::int64_t hidden_size) {
  const LatentOptions& latent = layer.mixer.latent;
  const std::int64_t heads = layer.mixer.heads;
  const std::int64_t tokens = declaration.tokens();
  const std::int64_t query = heads * (latent.rope_dim + latent.nope_dim);
  const auto input = Projection::Side::kInput;
  if (latent.query_rank > 0) {
    QueryProjection::declare_latent(declaration, layer, "q_norm", latent.query_rank, query, hidden_size);
  } else {
    Projection::declare(declaration, "q", input, query, hidden_size, false);
  }
  const std::array<layers::Declaration::Rows, 2> down{{{latent.rope_dim}, {latent.kv_rank}}};
  Projection::declare(declaration, "kv_down", input, down, hidden_size, false);
  NormLayer::declare_as(declaration, "kv_norm", inner_norm_form(layer), latent.kv_rank,
                        tokens * latent.kv_rank);
  const std::array<layers::Declaration::Rows, 2> up{
      {{heads * latent.nope_dim}, {.count = heads * latent.value_dim, .values = true}}};
  Projection::declare(declaration, "kv_up", input, up, latent.kv_rank, false);
  if (layer.mixer.output_gate)
    OutputGate::declare(declaration, layer.mixer, heads * latent.value_dim, hidden_size);
  Projection::declare(declaration, "out", Projection::Side::kOutput, hidden_size, heads * latent.value_dim,
                      false);
}

QueryProjection make_query(const LayerSpec& layer, const ParameterTable& table) {
  if (layer.mixer.latent.query_rank > 0) return QueryProjection(layer, table, "q_norm");
  return QueryProjection(Projection(table, in_layer(layer, "q"), false));
}

/// x times a factor of the latent that it comes from, or the gradient of that.
void scale(const Pass& pass, double factor, TensorView x) {
  if (factor != 1.0) ops::affine(pass.execution, x, static_cast<float>(factor), 0.0F, x);
}

}  // namespace

void LatentAttentionLayer::declare(layers::Declaration& declaration, const LayerSpec& layer,
                                   std::int64_t hidden_size) {
  declare_parameters(declaration, layer, hidden_size);
  const LatentOptions& latent = layer.mixer.latent;
  const std::int64_t heads = layer.mixer.heads;
  const std::int64_t tokens = declaration.tokens();
  const std::int64_t full = tokens * heads * (latent.rope_dim + latent.nope_dim);
  const std::int64_t values = tokens * heads * latent.value_dim;
  const std::int64_t nope_keys = tokens * heads * latent.nope_dim;
  declaration.keep(full, 4);  // q, k, v and what attention gives
  declaration.keep(values);
  declaration.keep(tokens * heads);
  declaration.keep(tokens * latent.kv_rank);
  for (const std::int64_t made : {tokens * latent.rope_dim, nope_keys, values}) {
    declaration.use_in_forward(made);
    declaration.use_in_backward(made);
  }
  declaration.use_in_backward(full, 4);
  declaration.use_in_backward(tokens * latent.kv_rank);
  declaration.pair_flops(2.0 * static_cast<double>(heads * (latent.rope_dim + latent.nope_dim)) +
                         2.0 * static_cast<double>(heads * latent.value_dim));
}

LatentAttentionLayer::LatentAttentionLayer(const LayerSpec& layer, const MixerContext& context)
    : options_(layer.mixer),
      latent_(layer.mixer.latent),
      layer_(layer.layer),
      dropout_(layer.attention_dropout),
      sequence_length_(context.sequence_length),
      span_(context.spans.number_of(options_)),
      rope_(&context.rope.of(options_)),
      query_(make_query(layer, context.table)),
      key_rope_(rows_of(layer, context.table, "kv_down", 0, latent_.rope_dim)),
      kv_down_(rows_of(layer, context.table, "kv_down", latent_.rope_dim, latent_.kv_rank)),
      kv_norm_(context.table, in_layer(layer, "kv_norm"), inner_norm_form(layer)),
      key_up_(rows_of(layer, context.table, "kv_up", 0, options_.heads * latent_.nope_dim)),
      value_up_(rows_of(layer, context.table, "kv_up", options_.heads * latent_.nope_dim,
                        options_.heads * latent_.value_dim)),
      out_(context.table, in_layer(layer, "out"), false) {
  if (options_.output_gate) gate_.emplace(layer, context.table);
}

ops::AttentionShape LatentAttentionLayer::shape(const Pass& pass, std::int64_t tokens) const {
  return {.sequences = tokens / sequence_length_,
          .length = sequence_length_,
          .heads = options_.heads,
          .kv_heads = options_.heads,
          .head_dim = head_dim(),
          .scale = options_.softmax_scale,
          .softcap = options_.softcap,
          .window = options_.window,
          .stride = options_.stride,
          .dropout = attention_dropout(pass, dropout_, layer_)};
}

void LatentAttentionLayer::turn(const Pass& pass, std::int64_t head_dim, ops::RopeDirection direction,
                                TensorView x) const {
  if (rope_->rotary() > 0)
    ops::rope(pass.execution, *rope_, pass.microbatch.positions, head_dim, direction, x);
}

void LatentAttentionLayer::fill_up(const Pass& pass, ConstTensorView values, TensorView filled) const {
  ops::zero(pass.execution, filled);
  ops::copy_heads(pass.execution, options_.heads, latent_.value_dim, values, {latent_.value_dim, 0}, filled,
                  {head_dim(), 0});
}

void LatentAttentionLayer::make_latents(const Pass& pass, ConstTensorView x, Saved& saved) const {
  saved.latent_raw = pass.arena.allocate({x.rows(), latent_.kv_rank});
  kv_down_.forward(pass.execution, pass.dense, x, saved.latent_raw);
  saved.latent = kv_norm_.forward(pass, saved.latent_raw);
}

/// That all heads share: [tokens, rope_dim].
TensorView LatentAttentionLayer::rotated_keys(const Pass& pass, ConstTensorView x) const {
  const TensorView shared = pass.arena.allocate({x.rows(), latent_.rope_dim});
  key_rope_.forward(pass.execution, pass.dense, x, shared);
  turn(pass, latent_.rope_dim, ops::RopeDirection::kForward, shared);
  return shared;
}

void LatentAttentionLayer::make_keys_and_values(const Pass& pass, ConstTensorView x, Saved& saved) const {
  const std::int64_t tokens = x.rows();
  saved.k = pass.arena.allocate(saved.q.shape());
  saved.v = pass.arena.allocate(saved.q.shape());
  make_latents(pass, x, saved);
  const ArenaScope scope(pass.arena);
  const TensorView shared = rotated_keys(pass, x);
  const TensorView own = pass.arena.allocate({tokens, options_.heads * latent_.nope_dim});
  const TensorView values = pass.arena.allocate({tokens, options_.heads * latent_.value_dim});
  key_up_.forward(pass.execution, pass.dense, saved.latent.y, own);
  value_up_.forward(pass.execution, pass.dense, saved.latent.y, values);
  scale(pass, latent_.kv_scale, own);
  scale(pass, latent_.kv_scale, values);
  ops::copy_heads(pass.execution, options_.heads, latent_.rope_dim, shared, {0, 0}, saved.k, {head_dim(), 0});
  ops::copy_heads(pass.execution, options_.heads, latent_.nope_dim, own, {latent_.nope_dim, 0}, saved.k,
                  {head_dim(), latent_.rope_dim});
  fill_up(pass, values, saved.v);
}

/// To the keys of the pass.
void LatentAttentionLayer::attend(const Pass& pass, ConstTensorView x, Saved& saved) const {
  const std::int64_t tokens = x.rows();
  make_keys_and_values(pass, x, saved);
  saved.filled_out = pass.arena.allocate(saved.q.shape());
  saved.log_sum_exp = pass.arena.allocate({tokens / sequence_length_ * options_.heads, sequence_length_});
  ops::attention_forward(pass.execution, shape(pass, tokens), saved.q, saved.k, saved.v,
                         first_visible(pass.microbatch, span_), saved.filled_out, saved.log_sum_exp);
  ops::copy_heads(pass.execution, options_.heads, latent_.value_dim, saved.filled_out, {head_dim(), 0},
                  saved.out, {latent_.value_dim, 0});
}

/// <q, W c> = <Wᵀ q, c>: what a head's own channels of q are against a latent c, W being what makes keys of
/// it. Returns [tokens, heads * (rope_dim + kv_rank)].
TensorView LatentAttentionLayer::absorbed_queries(const Pass& pass, ConstTensorView q) const {
  const std::int64_t width = latent_.rope_dim + latent_.kv_rank;
  const TensorView absorbed = pass.arena.allocate({q.rows(), options_.heads * width});
  ops::copy_heads(pass.execution, options_.heads, latent_.rope_dim, q, {head_dim(), 0}, absorbed, {width, 0});
  for (std::int64_t head = 0; head < options_.heads; ++head) {
    const ConstTensorView own = q.columns(head * head_dim() + latent_.rope_dim, latent_.nope_dim);
    key_up_.outputs(head * latent_.nope_dim, latent_.nope_dim)
        .backward(pass.execution, pass.dense, own,
                  absorbed.columns(head * width + latent_.rope_dim, latent_.kv_rank));
  }
  return absorbed;
}

/// To the latents that are kept, among which those of the pass are then.
void LatentAttentionLayer::attend_cached(const Pass& pass, ConstTensorView x, Saved& saved) const {
  make_latents(pass, x, saved);
  scale(pass, latent_.kv_scale, saved.latent.y);
  ops::CachedAttentionShape absorbed = cached_shape(shape(pass, 0));
  if (absorbed.scale == 0.0) absorbed.scale = 1.0 / std::sqrt(static_cast<double>(head_dim()));
  absorbed.kv_heads = 1;
  absorbed.key_dim = latent_.rope_dim + latent_.kv_rank;
  absorbed.value_dim = latent_.kv_rank;
  const TensorView latents = pass.arena.allocate({x.rows(), options_.heads * latent_.kv_rank});
  saved.cache->attend(pass.execution, absorbed,
                      {.positions = pass.microbatch.positions,
                       .first_visible = first_visible(pass.microbatch, span_),
                       .q = absorbed_queries(pass, saved.q),
                       .first = rotated_keys(pass, x),
                       .second = saved.latent.y},
                      latents);
  for (std::int64_t head = 0; head < options_.heads; ++head) {
    value_up_.outputs(head * latent_.value_dim, latent_.value_dim)
        .forward(pass.execution, pass.dense, latents.columns(head * latent_.kv_rank, latent_.kv_rank),
                 saved.out.columns(head * latent_.value_dim, latent_.value_dim));
  }
}

void LatentAttentionLayer::forward(const Pass& pass, ConstTensorView x, Mixer::Saved& kept,
                                   TensorView y) const {
  auto& saved = static_cast<Saved&>(kept);
  const std::int64_t tokens = x.rows();
  saved.q = pass.arena.allocate({tokens, query_.width()});
  query_.forward(pass, x, saved.query, saved.q);
  scale(pass, latent_.query_scale, saved.q);
  turn(pass, head_dim(), ops::RopeDirection::kForward, saved.q);
  saved.out = pass.arena.allocate({tokens, options_.heads * latent_.value_dim});
  if (saved.cache) {
    attend_cached(pass, x, saved);
  } else {
    attend(pass, x, saved);
  }
  if (gate_) gate_->forward(pass, x, saved.out, saved.gate);
  out_.forward(pass.execution, pass.dense, gate_ ? saved.gate.y : saved.out, y);
}

void LatentAttentionLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x,
                                    const Mixer::Saved& kept, TensorView dx) const {
  const auto& saved = static_cast<const Saved&>(kept);
  const ArenaScope scope(pass.arena);
  const TensorView dfilled = pass.arena.allocate(saved.q.shape());
  const TensorView dq = pass.arena.allocate(saved.q.shape());
  const TensorView dk = pass.arena.allocate(saved.q.shape());
  const TensorView dv = pass.arena.allocate(saved.q.shape());
  const TensorView dgate = gate_ ? pass.arena.allocate(saved.out.shape()) : TensorView();
  {
    const ArenaScope of_output(pass.arena);
    const TensorView dout = pass.arena.allocate(saved.out.shape());
    out_.backward(pass.execution, pass.dense, dy, dout);
    out_.weight_gradients(pass.execution, dy, gate_ ? saved.gate.y : saved.out, pass.dense_gradient);
    if (gate_) gate_->backward(pass, saved.out, saved.gate, dout, dgate);
    fill_up(pass, dout, dfilled);
  }
  ops::attention_backward(pass.execution, pass.arena, shape(pass, x.rows()), dfilled, saved.q, saved.k,
                          saved.v, saved.filled_out, saved.log_sum_exp, first_visible(pass.microbatch, span_),
                          dq, dk, dv);
  backward_keys_and_values(pass, dk, dv, x, saved, dx);
  turn(pass, head_dim(), ops::RopeDirection::kBackward, dq);
  scale(pass, latent_.query_scale, dq);
  query_.backward(pass, dq, x, saved.query, dx, Accumulate::kYes);
  if (gate_) gate_->backward_input(pass, dgate, x, dx);
}

/// dx is overwritten.
void LatentAttentionLayer::backward_keys_and_values(const Pass& pass, ConstTensorView dk, ConstTensorView dv,
                                                    ConstTensorView x, const Saved& saved,
                                                    TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dshared = pass.arena.allocate({x.rows(), latent_.rope_dim});
  const TensorView down = pass.arena.allocate({x.rows(), options_.heads * latent_.nope_dim});
  const TensorView dvalues = pass.arena.allocate(saved.out.shape());
  const TensorView dlatent = pass.arena.allocate(saved.latent_raw.shape());
  ops::sum_heads(pass.execution, options_.heads, latent_.rope_dim, dk, {head_dim(), 0}, dshared);
  ops::copy_heads(pass.execution, options_.heads, latent_.nope_dim, dk, {head_dim(), latent_.rope_dim}, down,
                  {latent_.nope_dim, 0});
  ops::copy_heads(pass.execution, options_.heads, latent_.value_dim, dv, {head_dim(), 0}, dvalues,
                  {latent_.value_dim, 0});
  scale(pass, latent_.kv_scale, down);
  scale(pass, latent_.kv_scale, dvalues);
  key_up_.backward(pass.execution, pass.dense, down, dlatent);
  value_up_.backward(pass.execution, pass.dense, dvalues, dlatent, Accumulate::kYes);
  key_up_.weight_gradients(pass.execution, down, saved.latent.y, pass.dense_gradient);
  value_up_.weight_gradients(pass.execution, dvalues, saved.latent.y, pass.dense_gradient);
  kv_norm_.backward(pass, dlatent, saved.latent_raw, saved.latent, dlatent, Accumulate::kNo);
  turn(pass, latent_.rope_dim, ops::RopeDirection::kBackward, dshared);
  kv_down_.backward(pass.execution, pass.dense, dlatent, dx);
  key_rope_.backward(pass.execution, pass.dense, dshared, dx, Accumulate::kYes);
  kv_down_.weight_gradients(pass.execution, dlatent, x, pass.dense_gradient);
  key_rope_.weight_gradients(pass.execution, dshared, x, pass.dense_gradient);
}

}  // namespace troupe::model
