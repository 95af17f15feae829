#include "model/attention_layer.h"

#include <algorithm>

#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/rms_norm/rms_norm.h"

namespace troupe::model {

using ops::Accumulate;
using ops::Transpose;

AttentionLayer::AttentionLayer(const ModelOptions& options, std::int64_t sequence_length,
                               const ops::RopeTable& rope, const ParameterTable& table,
                               const std::string& prefix)
    : options_(options.attention),
      eps_(options.norm.eps),
      sequence_length_(sequence_length),
      rope_(&rope),
      qkv_(table, prefix + "qkv_proj"),
      out_(table, prefix + "out_proj"),
      query_{0, options_.heads * options_.head_dim},
      key_{query_.width, options_.kv_heads * options_.head_dim},
      value_{key_.first_row + key_.width, key_.width} {
  if (!options_.qk_norm) return;
  q_norm_.emplace(table, prefix + "q_norm");
  k_norm_.emplace(table, prefix + "k_norm");
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

void AttentionLayer::forward(const Pass& pass, ConstTensorView x, const TokenPlaces& places, Saved& saved,
                             TensorView y) const {
  const std::int64_t tokens = x.rows();
  saved.q = pass.arena.allocate({tokens, query_.width});
  saved.k = pass.arena.allocate({tokens, key_.width});
  saved.v = pass.arena.allocate({tokens, value_.width});
  saved.q_raw = options_.qk_norm ? pass.arena.allocate(saved.q.shape()) : saved.q;
  saved.k_raw = options_.qk_norm ? pass.arena.allocate(saved.k.shape()) : saved.k;
  if (options_.qk_norm) {
    saved.q_inv_rms = pass.arena.allocate({tokens * options_.heads});
    saved.k_inv_rms = pass.arena.allocate({tokens * options_.kv_heads});
  }
  saved.out = pass.arena.allocate({tokens, query_.width});
  saved.log_sum_exp = pass.arena.allocate({tokens / sequence_length_ * options_.heads, sequence_length_});

  project(pass, x, query_, saved.q_raw);
  project(pass, x, key_, saved.k_raw);
  project(pass, x, value_, saved.v);
  prepare(pass, saved.q_raw, q_norm_, places, saved.q_inv_rms, saved.q);
  prepare(pass, saved.k_raw, k_norm_, places, saved.k_inv_rms, saved.k);
  ops::attention_forward(pass.execution, shape(tokens), saved.q, saved.k, saved.v, places.first_visible,
                         saved.out, saved.log_sum_exp);
  ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, saved.out, out_.value(pass.dense), y);
}

/// Norm by head, where there is one, then RoPE.
void AttentionLayer::prepare(const Pass& pass, TensorView projected,
                             const std::optional<ParameterHandle>& norm, const TokenPlaces& places,
                             TensorView inv_rms, TensorView prepared) const {
  if (norm) {
    ops::rms_norm_forward(pass.execution, by_head(projected), norm->value(pass.dense), eps_,
                          by_head(prepared), inv_rms);
  }
  ops::rope(pass.execution, *rope_, places.positions, options_.head_dim, ops::RopeDirection::kForward,
            prepared);
}

/// Turns the gradient of `prepared` into that of `projected`, in place.
void AttentionLayer::prepare_backward(const Pass& pass, ConstTensorView raw,
                                      const std::optional<ParameterHandle>& norm, const TokenPlaces& places,
                                      ConstTensorView inv_rms, TensorView gradient) const {
  ops::rope(pass.execution, *rope_, places.positions, options_.head_dim, ops::RopeDirection::kBackward,
            gradient);
  if (!norm) return;
  ops::rms_norm_backward(pass.execution, by_head(gradient), by_head(raw), norm->value(pass.dense), inv_rms,
                         by_head(gradient), norm->gradient(pass.dense_gradient), false);
}

void AttentionLayer::project(const Pass& pass, ConstTensorView x, const Part& part, TensorView out) const {
  const ConstTensorView weight = qkv_.value(pass.dense).rows(part.first_row, part.width);
  ops::gemm(pass.execution, Transpose::kNo, Transpose::kYes, x, weight, out);
}

/// dx is overwritten by the first part, then added to, in the order q, k, v.
void AttentionLayer::project_backward(const Pass& pass, ConstTensorView dout, ConstTensorView x,
                                      const Part& part, TensorView dx, bool first) const {
  const ConstTensorView weight = qkv_.value(pass.dense).rows(part.first_row, part.width);
  ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, dout, weight, dx,
            first ? Accumulate::kNo : Accumulate::kYes);
  ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, dout, x,
            qkv_.gradient(pass.dense_gradient).rows(part.first_row, part.width));
}

void AttentionLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x,
                              const TokenPlaces& places, const Saved& saved, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView dout = pass.arena.allocate(saved.out.shape());
  const TensorView dq = pass.arena.allocate(saved.q.shape());
  const TensorView dk = pass.arena.allocate(saved.k.shape());
  const TensorView dv = pass.arena.allocate(saved.v.shape());
  ops::gemm(pass.execution, Transpose::kNo, Transpose::kNo, dy, out_.value(pass.dense), dout);
  ops::gemm(pass.execution, Transpose::kYes, Transpose::kNo, dy, saved.out,
            out_.gradient(pass.dense_gradient));
  ops::attention_backward(pass.execution, pass.arena, shape(x.rows()), dout, saved.q, saved.k, saved.v,
                          saved.out, saved.log_sum_exp, places.first_visible, dq, dk, dv);
  prepare_backward(pass, saved.q_raw, q_norm_, places, saved.q_inv_rms, dq);
  prepare_backward(pass, saved.k_raw, k_norm_, places, saved.k_inv_rms, dk);
  project_backward(pass, dq, x, query_, dx, true);
  project_backward(pass, dk, x, key_, dx, false);
  project_backward(pass, dv, x, value_, dx, false);
}

}  // namespace troupe::model
