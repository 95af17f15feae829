#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// Sizes of one attention call. Query head h reads key/value head h / (heads / kv_heads).
struct AttentionSizes {
  std::int64_t sequences;
  std::int64_t length;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;  // at most kMostHeadDim
};
inline constexpr std::int64_t kMostHeadDim = 256;

/// How <q, k> becomes a score, as tensor/ops/attention/attention.h says.
struct AttentionScores {
  float scale = 0.0F;    // 0: 1/√head_dim
  float softcap = 0.0F;  // 0: none
  bool alibi = false;
};

/// Causal grouped-query attention inside documents, as tensor/ops/attention/attention.h says. Reference:
/// tensor/ops/attention/attention_ref.h.
///   q: [tokens, heads * head_dim], k, v: [tokens, kv_heads * head_dim], rows may be strided
///   first_visible: [tokens]; out: as q; log_sum_exp: [sequences * heads, length]; sinks: [heads], or null
struct AttentionForward {
  AttentionSizes sizes;
  Matrix<const float> q, k, v;
  const std::int32_t* first_visible;
  Matrix<float> out;
  float* log_sum_exp;
  AttentionScores scores = {};
  const float* sinks = nullptr;
};
void attention_forward(Stream stream, const AttentionForward& arguments);

/// Its gradient: one kernel for dk and dv, which adds query heads, then query tiles, in order, and one for
/// dq, which adds key tiles in order; with sinks, one for dsinks, which adds tokens in fp64.
///   dq, dk, dv: as q, k, v, overwritten; delta: [sequences * heads, length], scratch; dsinks: [heads]
struct AttentionBackward {
  AttentionSizes sizes;
  Matrix<const float> dout, q, k, v, out;
  const float* log_sum_exp;
  const std::int32_t* first_visible;
  Matrix<float> dq, dk, dv;
  float* delta;
  AttentionScores scores = {};
  const float* sinks = nullptr;
  float* dsinks = nullptr;
};
void attention_backward(Stream stream, const AttentionBackward& arguments);

}  // namespace troupe::cuda
