#include "model/attention_layer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "tensor/ops/cached_attention/cached_attention.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::model {
namespace {

using layers::NormLayer;
using layers::Projection;
using ops::Accumulate;

/// Of the norm of queries or keys that are `width` wide together.
std::int64_t norm_width(const AttentionOptions& options, std::int64_t width) {
  return options.qk_norm == QkNorm::kFull ? width : options.head_dim;
}

/// What every token's query is multiplied with. factors: [tokens]
void fill_temperatures(const Pass& pass, const AttentionOptions& options, TensorView factors) {
  const ConstTensorView positions = pass.microbatch.positions;
  const std::int64_t length = options.temperature_length;
  if (options.temperature_shape == TemperatureShape::kSteps)
    return ops::temperatures(pass.execution, positions, options.temperature, length, factors);
  for (std::int64_t t = 0; t < factors.elements(); ++t) {
    const auto position = static_cast<double>(std::max<std::int64_t>(positions.i32()[t], length));
    const double growth = std::log(position) / std::log(static_cast<double>(length)) - 1.0;
    factors.f32()[t] = static_cast<float>(1.0 + options.temperature * growth);
  }
}

}  // namespace

void AttentionLayer::declare(layers::Declaration& declaration, const LayerSpec& layer,
                             std::int64_t hidden_size) {
  const AttentionOptions& options = layer.mixer;
  const std::int64_t tokens = declaration.tokens();
  const std::int64_t query = options.heads * options.head_dim;
  const std::int64_t key = options.kv_heads * options.head_dim;
  if (options.query_rank > 0) {
    QueryProjection::declare_latent(declaration, layer, "q_latent_norm", options.query_rank, query,
                                    hidden_size);
  }
  const std::array<layers::Declaration::Rows, 3> parts{{{query}, {key}, {.count = key, .values = true}}};
  const bool latent = options.query_rank > 0;
  Projection::declare(declaration, latent ? "kv" : "qkv", Projection::Side::kInput,
                      std::span(parts).subspan(latent ? 1 : 0), hidden_size, options.qkv_bias);
  if (options.output_gate) OutputGate::declare(declaration, options, query, hidden_size);
  Projection::declare(declaration, "out", Projection::Side::kOutput, hidden_size, query, options.out_bias);
  for (const std::int64_t width : {query, key, key}) {
    declaration.keep(tokens * width);
    declaration.use_in_backward(tokens * width);
  }
  declaration.keep(tokens * query);             // outputs of the heads
  declaration.use_in_backward(tokens * query);  // their gradient
  declaration.keep(tokens * options.heads);     // log Σ exp
  declaration.use_in_backward(tokens * options.heads);
  declaration.pair_flops(4.0 * static_cast<double>(query));  // scores, and the values' sum
  if (options.sinks) declaration.vector("sinks", ParameterRole::kInputBias, options.heads, 0.0F);
  if (options.temperature > 0.0) declaration.keep(tokens);
  if (options.qk_norm == QkNorm::kNone) return;
  if (options.qk_norm == QkNorm::kL2) {
    NormLayer::declare_unweighted(declaration, options.head_dim, tokens * query);
    NormLayer::declare_unweighted(declaration, options.head_dim, tokens * key);
    return;
  }
  const layers::NormForm form = inner_norm_form(layer);
  NormLayer::declare_as(declaration, "q_norm", form, norm_width(options, query), tokens * query);
  NormLayer::declare_as(declaration, "k_norm", form, norm_width(options, key), tokens * key);
}

AttentionLayer::AttentionLayer(const LayerSpec& layer, const MixerContext& context)
    : options_(layer.mixer),
      layer_(layer.layer),
      dropout_(layer.attention_dropout),
      sequence_length_(context.sequence_length),
      span_(context.spans.number_of(options_)),
      rope_(&context.rope.of(options_)),
      query_(make_query(layer, context.table)),
      key_(part(layer, context.table, options_.heads, options_.kv_heads)),
      value_(part(layer, context.table, options_.heads + options_.kv_heads, options_.kv_heads)),
      out_(context.table, layer.prefix + "attention/out", options_.out_bias) {
  if (options_.output_gate) gate_.emplace(layer, context.table);
  if (options_.sinks) sinks_.emplace(context.table, layer.prefix + "attention/sinks");
  if (options_.qk_norm == QkNorm::kNone) return;
  if (options_.qk_norm == QkNorm::kL2) {
    q_norm_.emplace(layer.inner_norm_eps);
    k_norm_.emplace(layer.inner_norm_eps);
    return;
  }
  q_norm_.emplace(context.table, layer.prefix + "attention/q_norm", inner_norm_form(layer));
  k_norm_.emplace(context.table, layer.prefix + "attention/k_norm", inner_norm_form(layer));
}

QueryProjection AttentionLayer::make_query(const LayerSpec& layer, const ParameterTable& table) const {
  if (options_.query_rank > 0) return QueryProjection(layer, table, "q_latent_norm");
  return QueryProjection(part(layer, table, 0, options_.heads));
}

/// Some heads of the one projection to queries, keys and values; with a latent of queries to keys and values.
Projection AttentionLayer::part(const LayerSpec& layer, const ParameterTable& table, std::int64_t first_head,
                                std::int64_t heads) const {
  const bool latent = options_.query_rank > 0;
  const std::int64_t first = latent ? first_head - options_.heads : first_head;
  return Projection(table, layer.prefix + (latent ? "attention/kv" : "attention/qkv"), options_.qkv_bias)
      .outputs(first * options_.head_dim, heads * options_.head_dim);
}

ops::AttentionShape AttentionLayer::shape(const Pass& pass, std::int64_t tokens) const {
  return {.sequences = tokens / sequence_length_,
          .length = sequence_length_,
          .heads = options_.heads,
          .kv_heads = options_.kv_heads,
          .head_dim = options_.head_dim,
          .scale = options_.softmax_scale,
          .softcap = options_.softcap,
          .alibi = options_.positions == Positions::kAlibi,
          .window = options_.window,
          .stride = options_.stride,
          .dropout = attention_dropout(pass, dropout_, layer_)};
}

/// What a norm sees of [tokens, width]: rows of one head each, or of all of them.
Shape AttentionLayer::rows_of_norm(std::int64_t tokens, std::int64_t width) const {
  const std::int64_t columns = norm_width(options_, width);
  return {tokens * (width / columns), columns};
}

void AttentionLayer::forward(const Pass& pass, ConstTensorView x, Mixer::Saved& kept, TensorView y) const {
  auto& saved = static_cast<Saved&>(kept);
  const std::int64_t tokens = x.rows();
  saved.q_raw = pass.arena.allocate({tokens, query_.width()});
  query_.forward(pass, x, saved.query, saved.q_raw);
  saved.q = prepare(pass, saved.q_raw, q_norm_, saved.q_norm);
  saved.k_raw = pass.arena.allocate({tokens, key_.width()});
  key_.forward(pass.execution, pass.dense, x, saved.k_raw);
  saved.k = prepare(pass, saved.k_raw, k_norm_, saved.k_norm);
  if (options_.temperature > 0.0) {
    saved.temperature = pass.arena.allocate({tokens});
    fill_temperatures(pass, options_, saved.temperature);
    ops::scale_rows(pass.execution, saved.temperature, saved.q);
  }
  saved.v = pass.arena.allocate({tokens, value_.width()});
  value_.forward(pass.execution, pass.dense, x, saved.v);
  saved.out = pass.arena.allocate({tokens, query_.width()});
  attend(pass, tokens, saved, saved.out);
  if (gate_) gate_->forward(pass, x, saved.out, saved.gate);
  out_.forward(pass.execution, pass.dense, gate_ ? saved.gate.y : saved.out, y);
}

/// To the keys of the pass, or to those that are kept, among which these are then.
void AttentionLayer::attend(const Pass& pass, std::int64_t tokens, Saved& saved, TensorView out) const {
  const ConstTensorView sinks = sinks_ ? sinks_->value(pass.dense) : ConstTensorView();
  const ConstTensorView first = first_visible(pass.microbatch, span_);
  if (saved.cache) {
    return saved.cache->attend(pass.execution, cached_shape(shape(pass, 0)),
                               {.positions = pass.microbatch.positions,
                                .first_visible = first,
                                .q = saved.q,
                                .first = saved.k,
                                .second = saved.v,
                                .sinks = sinks},
                               out);
  }
  saved.log_sum_exp = pass.arena.allocate({tokens / sequence_length_ * options_.heads, sequence_length_});
  ops::attention_forward(pass.execution, shape(pass, tokens), saved.q, saved.k, saved.v, first, out,
                         saved.log_sum_exp, sinks);
}

void AttentionLayer::turn(const Pass& pass, ops::RopeDirection direction, TensorView x) const {
  if (rope_->rotary() == 0) return;
  ops::rope(pass.execution, *rope_, pass.microbatch.positions, options_.head_dim, direction, x);
}

/// Norm where there is one, and RoPE, which an l2 norm follows.
TensorView AttentionLayer::prepare(const Pass& pass, TensorView raw, const std::optional<NormLayer>& norm,
                                   NormLayer::Saved& normed) const {
  const bool turns_first = options_.qk_norm == QkNorm::kL2;
  if (turns_first) turn(pass, ops::RopeDirection::kForward, raw);
  TensorView prepared = raw;
  if (norm) {
    normed = norm->forward(pass, raw.reshaped(rows_of_norm(raw.rows(), raw.columns())));
    prepared = normed.y.reshaped(raw.shape());
  }
  if (!turns_first) turn(pass, ops::RopeDirection::kForward, prepared);
  return prepared;
}

/// Turns the gradient of what was prepared into that of `raw`, in place.
void AttentionLayer::prepare_backward(const Pass& pass, ConstTensorView raw,
                                      const std::optional<NormLayer>& norm, const NormLayer::Saved& normed,
                                      TensorView gradient) const {
  const bool turned_first = options_.qk_norm == QkNorm::kL2;
  if (!turned_first) turn(pass, ops::RopeDirection::kBackward, gradient);
  if (norm) {
    const Shape rows = rows_of_norm(raw.rows(), raw.columns());
    norm->backward(pass, gradient.reshaped(rows), raw.reshaped(rows), normed, gradient.reshaped(rows),
                   Accumulate::kNo);
  }
  if (turned_first) turn(pass, ops::RopeDirection::kBackward, gradient);
}

void AttentionLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x,
                              const Mixer::Saved& kept, TensorView dx) const {
  const auto& saved = static_cast<const Saved&>(kept);
  const ArenaScope scope(pass.arena);
  const TensorView dout = pass.arena.allocate(saved.out.shape());
  const TensorView dq = pass.arena.allocate(saved.q.shape());
  const TensorView dk = pass.arena.allocate(saved.k.shape());
  const TensorView dv = pass.arena.allocate(saved.v.shape());
  const TensorView dgate = gate_ ? pass.arena.allocate(saved.out.shape()) : TensorView();
  out_.backward(pass.execution, pass.dense, dy, dout);
  out_.weight_gradients(pass.execution, dy, gate_ ? saved.gate.y : saved.out, pass.dense_gradient);
  if (gate_) gate_->backward(pass, saved.out, saved.gate, dout, dgate);
  ops::attention_backward(pass.execution, pass.arena, shape(pass, x.rows()), dout, saved.q, saved.k, saved.v,
                          saved.out, saved.log_sum_exp, first_visible(pass.microbatch, span_), dq, dk, dv,
                          sinks_ ? sinks_->value(pass.dense) : ConstTensorView(),
                          sinks_ ? sinks_->gradient(pass.dense_gradient) : TensorView());
  if (options_.temperature > 0.0) ops::scale_rows(pass.execution, saved.temperature, dq);
  prepare_backward(pass, saved.q_raw, q_norm_, saved.q_norm, dq);
  prepare_backward(pass, saved.k_raw, k_norm_, saved.k_norm, dk);
  query_.backward(pass, dq, x, saved.query, dx, Accumulate::kNo);
  key_.backward(pass.execution, pass.dense, dk, dx, Accumulate::kYes);
  value_.backward(pass.execution, pass.dense, dv, dx, Accumulate::kYes);
  key_.weight_gradients(pass.execution, dk, x, pass.dense_gradient);
  value_.weight_gradients(pass.execution, dv, x, pass.dense_gradient);
  if (gate_) gate_->backward_input(pass, dgate, x, dx);
}

}  // namespace troupe::model
