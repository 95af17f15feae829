#include "tensor/ops/attention/attention.h"

#include <cmath>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/attention/attention_forward_cpu.cpp"
#include <hwy/foreach_target.h>

#include <hwy/contrib/math/math-inl.h>

#include "base/index.h"
#include "tensor/ops/attention/attention_inputs.h"
#include "tensor/ops/attention/mask-inl.h"
#include "tensor/ops/attention/scores-inl.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/tile_product/tile_product.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

// Everything is kept transposed, [.., queries]: one lane is one query, so that maxima, sums and
// rescaling need no horizontal operation, and a query's order of sums does not depend on the width
// of a vector.
struct ForwardTile {
  alignas(64) float queries[kMaxHeadDim * kAttentionTile];    // [head_dim, queries], times the score scale
  alignas(64) float out[kMaxHeadDim * kAttentionTile];        // [head_dim, queries], not yet divided by `sum`
  alignas(64) float values[kAttentionTile * kMaxHeadDim];     // [keys, head_dim]
  alignas(64) float scores[kAttentionTile * kAttentionTile];  // [keys, queries]
  alignas(64) float largest[kAttentionTile];                  // running maximum, in powers of two
  alignas(64) float sum[kAttentionTile];                      // running Σ 2^(score - largest)
  alignas(64) float rescale[kAttentionTile];                  // 2^(old largest - new largest)
  alignas(64) float kept[kAttentionTile * kAttentionTile];    // [keys, queries], factors of dropout
};

constexpr float kBelowEveryScore = -1e30F;  // finite: minus infinity minus itself is not a number

// A sink is as if a first score had been seen whose value is 0.
void start_softmax(const AttentionInputs& inputs, std::int64_t head, ForwardTile& tile) {
  const bool sinks = !inputs.sinks.empty();
  const float first =
      sinks ? inputs.sinks[at(head)] * static_cast<float>(std::numbers::log2e) : kBelowEveryScore;
  std::fill_n(tile.largest, kAttentionTile, first);
  std::fill_n(tile.sum, kAttentionTile, sinks ? 1.0F : 0.0F);
}

void start_tile(const AttentionInputs& inputs, const QueryTile& query, std::int64_t head, ForwardTile& tile) {
  const std::int64_t head_dim = inputs.shape.head_dim;
  const float scale = log2_scale(inputs.shape);
  std::fill_n(tile.queries, head_dim * kAttentionTile, 0.0F);
  std::fill_n(tile.out, head_dim * kAttentionTile, 0.0F);
  start_softmax(inputs, head, tile);
  transpose_tile(inputs.q.row(query.first_row) + head * head_dim, inputs.q.stride, query.count, head_dim,
                 scale, tile.queries, kAttentionTile);
}

// Scores become weights relative to the new maximum; sum and rescale follow.
HWY_NOINLINE void online_softmax(std::int64_t keys, ForwardTile& tile) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t q = 0; q < kAttentionTile; q += lanes) {
    float* scores = tile.scores + q;
    const auto before = hn::Load(d, tile.largest + q);
    auto largest = before;
    for (std::int64_t j = 0; j < keys; ++j)
      largest = hn::Max(largest, hn::Load(d, scores + j * kAttentionTile));
    const auto rescale = exp2_of_non_positive(d, hn::Sub(before, largest));
    auto sum = hn::Mul(hn::Load(d, tile.sum + q), rescale);
    for (std::int64_t j = 0; j < keys; ++j) {
      const auto weight = exp2_of_non_positive(d, hn::Sub(hn::Load(d, scores + j * kAttentionTile), largest));
      hn::Store(weight, d, scores + j * kAttentionTile);
      sum = hn::Add(sum, weight);
    }
    hn::Store(largest, d, tile.largest + q);
    hn::Store(rescale, d, tile.rescale + q);
    hn::Store(sum, d, tile.sum + q);
  }
}

void add_key_tile(const AttentionInputs& inputs, const QueryTile& query, std::int64_t head, std::int64_t key,
                  ForwardTile& tile) {
  const std::int64_t kv_head = head / (inputs.shape.heads / inputs.shape.kv_heads);
  const std::int64_t head_dim = inputs.shape.head_dim;
  const std::int64_t keys = query.keys_of_tile(key);
  const float* k = inputs.k.row(query.keys_row + key) + kv_head * head_dim;
  const float* v = inputs.v.row(query.keys_row + key) + kv_head * head_dim;
  tile_product(Start::kZero, {k, inputs.k.stride, 1, tile.queries, kAttentionTile, head_dim}, nullptr, keys,
               kAttentionTile, tile.scores, kAttentionTile);
  if (inputs.shape.softcap > 0.0)
    cap_scores(static_cast<float>(inputs.shape.softcap * std::numbers::log2e), keys, tile.scores, nullptr);
  if (inputs.shape.alibi) lower_by_distance(query, key, log2_slope(inputs.shape, head), tile.scores);
  if (query.needs_mask(key)) mask_scores(query, key, tile.scores);
  online_softmax(keys, tile);
  if (inputs.shape.dropout.rate > 0.0) {
    fill_dropout(inputs.shape, query, head, key, tile.kept);
    scale_tile(keys, tile.kept, tile.scores);
  }
  copy_tile(v, inputs.v.stride, keys, head_dim, 1.0F, tile.values);
  tile_product(Start::kScaledSum, {tile.values, 1, head_dim, tile.scores, kAttentionTile, keys}, tile.rescale,
               head_dim, kAttentionTile, tile.out, kAttentionTile);
}

// out = out / sum, log_sum_exp = ln 2 * (largest + log2 sum).
void finish_tile(std::int64_t head_dim, const QueryTile& query, ForwardTile& tile, float* out,
                 std::int64_t out_stride, float* log_sum_exp) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t q = 0; q < kAttentionTile; q += lanes) {
    const auto sum = hn::Load(d, tile.sum + q);
    const auto factor = hn::Div(hn::Set(d, 1.0F), sum);
    for (std::int64_t c = 0; c < head_dim; ++c) {
      float* element = tile.out + c * kAttentionTile + q;
      hn::Store(hn::Mul(hn::Load(d, element), factor), d, element);
    }
    const auto ln2 = hn::Set(d, static_cast<float>(std::numbers::ln2));
    hn::Store(hn::MulAdd(hn::Load(d, tile.largest + q), ln2, hn::Log(d, sum)), d, tile.largest + q);
  }
  transpose_tile(tile.out, kAttentionTile, head_dim, query.count, 1.0F, out, out_stride);
  std::copy_n(tile.largest, query.count, log_sum_exp);
}

void attention_forward_head(const AttentionInputs& inputs, std::int64_t sequence, std::int64_t head,
                            Matrix<float> out, Matrix<float> log_sum_exp) {
  const AttentionShape& shape = inputs.shape;
  ForwardTile tile;
  for (std::int64_t position = 0; position < shape.length; position += kAttentionTile) {
    const QueryTile query(inputs, sequence, position);
    start_tile(inputs, query, head, tile);
    for (std::int64_t key = query.keys_begin; key < query.keys_end(); key += kAttentionTile) {
      if (query.skips(key)) continue;
      add_key_tile(inputs, query, head, key, tile);
    }
    finish_tile(shape.head_dim, query, tile, out.row(query.first_row) + head * shape.head_dim, out.stride,
                log_sum_exp.row(sequence * shape.heads + head) + position);
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(attention_forward_head);

void attention_forward(const Execution& execution, const AttentionShape& shape, ConstTensorView q,
                       ConstTensorView k, ConstTensorView v, ConstTensorView first_visible, TensorView out,
                       TensorView log_sum_exp, ConstTensorView sinks) {
  const OpScope measured(execution, OpKind::kAttention);
  if (DeviceOps* device = device_ops(execution)) {
    check_on_device(shape);
    return device->attention_forward(shape, q, k, v, first_visible, out, log_sum_exp, sinks);
  }
  const AttentionInputs inputs = checked_attention_inputs(shape, q, k, v, first_visible, sinks);
  check_matrix("attention: out", out, q.rows(), q.columns());
  check_matrix("attention: log_sum_exp", log_sum_exp, shape.sequences * shape.heads, shape.length);
  parallel_for(execution, shape.sequences * shape.heads, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(attention_forward_head)
    (inputs, i / shape.heads, i % shape.heads, matrix(out), matrix(log_sum_exp));
  });
}

}  // namespace troupe::ops
#endif
