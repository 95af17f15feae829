#pragma once
#include <cstdint>

#include "tensor/execution.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Sizes of one call, and its scores. Query head h reads key/value head h / (heads / kv_heads).
struct CachedAttentionShape {
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t key_dim;     // of a head of queries and keys
  std::int64_t value_dim;   // of a head of values
  std::int64_t capacity;    // positions of a sequence that the cache holds, the newest
  double scale = 0.0;       // factor on the scores <q, k>; 0: 1 / sqrt(key_dim)
  double softcap = 0.0;     // c: scores become c tanh(score / c); 0: they do not
  bool alibi = false;       // then they fall by alibi_slope() for every position between query and key
  std::int64_t window = 0;  // as AttentionShape's
  std::int64_t stride = 0;
};

/// That of attention of this shape; the capacity is the cache's.
[[nodiscard]] inline CachedAttentionShape cached_shape(const AttentionShape& shape) {
  return {.heads = shape.heads,
          .kv_heads = shape.kv_heads,
          .key_dim = shape.head_dim,
          .value_dim = shape.head_dim,
          .capacity = 0,
          .scale = shape.scale,
          .softcap = shape.softcap,
          .alibi = shape.alibi,
          .window = shape.window,
          .stride = shape.stride};
}

/// Softmax attention of single tokens to keys and values that are kept, those of the tokens themselves among
/// them. Each row is computed as if it were alone, so its bits depend on no other.
///   q: [rows, heads * key_dim], rows may be strided
///   keys: [sequences * capacity, kv_heads * key_dim], rows may be strided, values: the same of value_dim;
///     of sequence s position p is row s * capacity + p mod capacity
///   sequences, positions, first_visible: [rows] i32: a row's sequence, its position there, and the first
///     position that it sees, 0 ≤ first_visible ≤ position < first_visible + capacity
///   sinks: [heads], a logit that joins every softmax of its head, with nothing to give; without data: none
///   out: [rows, heads * value_dim]
/// Threads split (row, head) pairs. On the host only.
void cached_attention(const Execution& execution, const CachedAttentionShape& shape, ConstTensorView q,
                      ConstTensorView keys, ConstTensorView values, ConstTensorView sequences,
                      ConstTensorView positions, ConstTensorView first_visible, TensorView out,
                      ConstTensorView sinks = {});

}  // namespace troupe::ops
