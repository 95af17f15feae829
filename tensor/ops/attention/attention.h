#pragma once
#include <cmath>
#include <cstdint>

#include "tensor/arena.h"
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Weights that are 0 while training, as layers/dropout.h says: which ones is a function of the seed, the
/// layer, the query's number in the run, its head, and the key's position in the sequence.
struct AttentionDropout {
  double rate = 0.0;
  std::uint64_t seed = 0;
  std::uint32_t layer = 0;
  std::int64_t first_token = 0;  // number in the run of the first query
};

/// Sizes of one attention call, and its scores. Query head h reads key/value head h / (heads / kv_heads).
struct AttentionShape {
  std::int64_t sequences;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;
  double scale = 0.0;       // factor on the scores <q, k>; 0: 1 / sqrt(head_dim)
  double softcap = 0.0;     // c: scores become c tanh(score / c); 0: they do not
  bool alibi = false;       // then they fall by alibi_slope() for every position between query and key
  std::int64_t window = 0;  // with a stride: of visible keys a query sees these last ones
  std::int64_t stride = 0;  // and every stride-th one, itself the first (arXiv 1904.10509); 0: all
  AttentionDropout dropout = {};
};

/// Whether a query sees a key so many positions before it, of those that are visible.
[[nodiscard]] inline bool sees(std::int64_t window, std::int64_t stride, std::int64_t distance) {
  return stride == 0 || distance < window || distance % stride == 0;
}

/// ALiBi (arXiv 2108.12409): 2^(-8 (h + 1) / heads) for a power of two of heads; for another number those of
/// the next smaller one, then every other one of the next larger one.
[[nodiscard]] double alibi_slope(std::int64_t head, std::int64_t heads);

/// What scores are multiplied with.
[[nodiscard]] inline double score_scale(const AttentionShape& shape) {
  return shape.scale > 0.0 ? shape.scale : 1.0 / std::sqrt(static_cast<double>(shape.head_dim));
}

/// Causal grouped-query attention inside documents, in tiles of constant size with online softmax (arXiv
/// 2205.14135, 2307.08691): no [length, length] memory, blocks that no query of a tile may see are skipped.
///   q: [tokens, heads * head_dim], k, v: [tokens, kv_heads * head_dim]; tokens = sequences * length,
///   rows may be strided
///   first_visible: [tokens] i32: the first position of the same sequence (0 ≤ · ≤ own position) that
///   a token sees; non-decreasing along a sequence
///   out: [tokens, heads * head_dim]; log_sum_exp: [sequences * heads, length], kept for backward
///   sinks: [heads], a logit that joins every softmax of its head, with nothing to give; without data: none
/// Threads split (sequence, head) pairs. On a device: without stride and dropout.
void attention_forward(const Execution& execution, const AttentionShape& shape, ConstTensorView q,
                       ConstTensorView k, ConstTensorView v, ConstTensorView first_visible, TensorView out,
                       TensorView log_sum_exp, ConstTensorView sinks = {});

/// Its gradient.
///   dq, dk, dv: shapes of q, k, v, overwritten, rows may be strided. dk and dv add query heads, then
///   query tiles, in order. dsinks: [heads], overwritten, tokens added in order; where there are sinks.
/// Threads split (sequence, key/value head) pairs. `arena` gives scratch space.
void attention_backward(const Execution& execution, Arena& arena, const AttentionShape& shape,
                        ConstTensorView dout, ConstTensorView q, ConstTensorView k, ConstTensorView v,
                        ConstTensorView out, ConstTensorView log_sum_exp, ConstTensorView first_visible,
                        TensorView dq, TensorView dk, TensorView dv, ConstTensorView sinks = {},
                        TensorView dsinks = {});

}  // namespace troupe::ops
