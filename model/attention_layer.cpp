#include "model/attention_layer.h"

#include <algorithm>

#include "tensor/ops/rms_norm/rms_norm.h"

namespace troupe::model {

using ops::Accumulate;

void AttentionLayer::declare(layers::Declaration& declaration, const AttentionOptions& options,
                             std::int64_t hidden_size) {
  const std::int64_t tokens = declaration.tokens();
  const std::int64_t query = options.heads * options.head_dim;
  const std::int64_t key = options.kv_heads * options.head_dim;
  layers::Projection::declare(declaration, "qkv", layers::Projection::Side::kInput, query + 2 * key,
                              hidden_size, false);
  layers::Projection::declare(declaration, "out", layers::Projection::Side::kOutput, hidden_size, query,
                              false);
  for (const std::int64_t width : {query, key, key}) {
    declaration.keep(tokens * width);
    declaration.use_in_backward(tokens * width);
  }
  declaration.keep(tokens * query);             // outputs of the heads
  declaration.use_in_backward(tokens * query);  // their gradient
  declaration.keep(tokens * options.heads);     // log Σ exp
  declaration.use_in_backward(tokens * options.heads);
  declaration.pair_flops(4.0 * static_cast<double>(query));  // scores, and the values' sum
  if (!options.qk_norm) return;
  declaration.vector("q_norm", ParameterRole::kNorm, options.head_dim, 1.0F);
  declaration.vector("k_norm", ParameterRole::kNorm, options.head_dim, 1.0F);
  for (const std::int64_t before : {query, key, options.heads, options.kv_heads})
    declaration.keep(tokens * before);
}

AttentionLayer::AttentionLayer(const LayerSpec& layer, std::int64_t sequence_length, RopeTables& rope,
                               const ParameterTable& table)
    : options_(layer.mixer),
      eps_(layer.norm.eps),
      sequence_length_(sequence_length),
      rope_(&rope.of(layer.positions, options_.head_dim)),
      query_(part(layer, table, 0, options_.heads)),
      key_(part(layer, table, options_.heads, options_.kv_heads)),
      value_(part(layer, table, options_.heads + options_.kv_heads, options_.kv_heads)),
      out_(table, layer.prefix + "attention/out", false) {
  if (!options_.qk_norm) return;
  q_norm_.emplace(table, layer.prefix + "attention/q_norm");
  k_norm_.emplace(table, layer.prefix + "attention/k_norm");
}

/// Some heads of the one projection to queries, keys and values.
layers::Projection AttentionLayer::part(const LayerSpec& layer, const ParameterTable& table,
                                        std::int64_t first_head, std::int64_t heads) const {
  return layers::Projection(table, layer.prefix + "attention/qkv", false)
      .outputs(first_head * options_.head_dim, heads * options_.head_dim);
}

ops::AttentionShape AttentionLayer::shape(std::int64_t tokens) const {
  return {tokens / sequence_length_, sequence_length_, options_.heads, options_.kv_heads, options_.head_dim};
}

/// [tokens, heads * head_dim] as [tokens * heads, head_dim]
TensorView AttentionLayer::by_head(TensorView view) const {
  return view.reshaped({view.elements() / options_.head_dim, options_.head_dim});
}
ConstTensorView AttentionLayer::by_head(ConstTensorView view) const {
  return view.reshaped({view.elements() / options_.head_dim, options_.head_dim});
}

void AttentionLayer::forward(const Pass& pass, ConstTensorView x, Saved& saved, TensorView y) const {
  const std::int64_t tokens = x.rows();
  saved.q = pass.arena.allocate({tokens, query_.width()});
  saved.k = pass.arena.allocate({tokens, key_.width()});
  saved.v = pass.arena.allocate({tokens, value_.width()});
  saved.q_raw = options_.qk_norm ? pass.arena.allocate(saved.q.shape()) : saved.q;
  saved.k_raw = options_.qk_norm ? pass.arena.allocate(saved.k.shape()) : saved.k;
  if (options_.qk_norm) {
    saved.q_inv_rms = pass.arena.allocate({tokens * options_.heads});
    saved.k_inv_rms = pass.arena.allocate({tokens * options_.kv_heads});
  }
  saved.out = pass.arena.allocate({tokens, query_.width()});
  saved.log_sum_exp = pass.arena.allocate({tokens / sequence_length_ * options_.heads, sequence_length_});

  query_.forward(pass.execution, pass.dense, x, saved.q_raw);
  key_.forward(pass.execution, pass.dense, x, saved.k_raw);
  value_.forward(pass.execution, pass.dense, x, saved.v);
  prepare(pass, saved.q_raw, q_norm_, saved.q_inv_rms, saved.q);
  prepare(pass, saved.k_raw, k_norm_, saved.k_inv_rms, saved.k);
  ops::attention_forward(pass.execution, shape(tokens), saved.q, saved.k, saved.v,
                         pass.microbatch.first_visible, saved.out, saved.log_sum_exp);
  out_.forward(pass.execution, pass.dense, saved.out, y);
}

/// Norm by head, where there is one, then RoPE.
void AttentionLayer::prepare(const Pass& pass, TensorView projected,
                             const std::optional<ParameterHandle>& norm, TensorView inv_rms,
                             TensorView prepared) const {
  if (norm) {
    ops::rms_norm_forward(pass.execution, by_head(projected), norm->value(pass.dense), eps_,
                          by_head(prepared), inv_rms);
  }
  ops::rope(pass.execution, *rope_, pass.microbatch.positions, options_.head_dim,
            ops::RopeDirection::kForward, prepared);
}

/// Turns the gradient of `prepared` into that of `projected`, in place.
void AttentionLayer::prepare_backward(const Pass& pass, ConstTensorView raw,
                                      const std::optional<ParameterHandle>& norm, ConstTensorView inv_rms,
                                      TensorView gradient) const {
  ops::rope(pass.execution, *rope_, pass.microbatch.positions, options_.head_dim,
            ops::RopeDirection::kBackward, gradient);
  if (!norm) return;
  ops::rms_norm_backward(pass.execution, by_head(gradient), by_head(raw), norm->value(pass.dense), inv_rms,
                         by_head(gradient), norm->gradient(pass.dense_gradient), false);
}

void AttentionLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                              TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dout = pass.arena.allocate(saved.out.shape());
  const TensorView dq = pass.arena.allocate(saved.q.shape());
  const TensorView dk = pass.arena.allocate(saved.k.shape());
  const TensorView dv = pass.arena.allocate(saved.v.shape());
  out_.backward(pass.execution, pass.dense, dy, dout);
  out_.weight_gradients(pass.execution, dy, saved.out, pass.dense_gradient);
  ops::attention_backward(pass.execution, pass.arena, shape(x.rows()), dout, saved.q, saved.k, saved.v,
                          saved.out, saved.log_sum_exp, pass.microbatch.first_visible, dq, dk, dv);
  prepare_backward(pass, saved.q_raw, q_norm_, saved.q_inv_rms, dq);
  prepare_backward(pass, saved.k_raw, k_norm_, saved.k_inv_rms, dk);
  query_.backward(pass.execution, pass.dense, dq, dx);
  key_.backward(pass.execution, pass.dense, dk, dx, Accumulate::kYes);
  value_.backward(pass.execution, pass.dense, dv, dx, Accumulate::kYes);
  query_.weight_gradients(pass.execution, dq, x, pass.dense_gradient);
  key_.weight_gradients(pass.execution, dk, x, pass.dense_gradient);
  value_.weight_gradients(pass.execution, dv, x, pass.dense_gradient);
}

}  // namespace troupe::model
