#include "tensor/ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/attention/attention_backward_cpu.cpp"
#include <hwy/foreach_target.h>

#include "base/index.h"
#include "tensor/ops/attention/attention_inputs.h"
#include "tensor/ops/attention/mask-inl.h"
#include "tensor/ops/attention/scores-inl.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/device_ops.h"
#include "tensor/ops/tile_product/tile_product.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

#ifndef TROUPE_TENSOR_OPS_ATTENTION_BACKWARD_OPERANDS
#define TROUPE_TENSOR_OPS_ATTENTION_BACKWARD_OPERANDS
namespace troupe::ops {
namespace {

struct AttentionBackwardOperands {
  AttentionInputs inputs;
  Matrix<const float> dout, log_sum_exp;
  Matrix<const float> delta;  // [sequences * heads, length]: <dout, out> of each query
  Matrix<float> dq, dk, dv;
};

}  // namespace
}  // namespace troupe::ops
#endif

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

// As in forward, transposed tiles have one query per lane.
struct BackwardTile {
  alignas(64) float queries[kMaxHeadDim * kAttentionTile];     // [head_dim, queries], times the score scale
  alignas(64) float query_rows[kAttentionTile * kMaxHeadDim];  // [queries, head_dim], times the softmax scale
  alignas(64) float dout[kMaxHeadDim * kAttentionTile];        // [head_dim, queries]
  alignas(64) float dout_rows[kAttentionTile * kMaxHeadDim];   // [queries, head_dim]
  alignas(64) float dqueries[kMaxHeadDim * kAttentionTile];    // [head_dim, queries], not yet scaled
  alignas(64) float keys[kAttentionTile * kMaxHeadDim];        // [keys, head_dim]
  alignas(64) float weights[kAttentionTile * kAttentionTile];  // [keys, queries]
  alignas(64) float dscores[kAttentionTile * kAttentionTile];  // [keys, queries]
  alignas(64) float slopes[kAttentionTile * kAttentionTile];   // [keys, queries], of a soft cap
  alignas(64) float kept[kAttentionTile * kAttentionTile];     // [keys, queries], factors of dropout
  alignas(64) float log_sum[kAttentionTile];                   // in powers of two
  alignas(64) float delta[kAttentionTile];
};

float softmax_scale(const AttentionShape& shape) { return static_cast<float>(score_scale(shape)); }

void start_tile(const AttentionBackwardOperands& operands, const QueryTile& query, std::int64_t sequence,
                std::int64_t head, BackwardTile& tile) {
  const AttentionShape& shape = operands.inputs.shape;
  const Matrix<const float>& q = operands.inputs.q;
  const float* q_tile = q.row(query.first_row) + head * shape.head_dim;
  const float* dout_tile = operands.dout.row(query.first_row) + head * shape.head_dim;
  const std::int64_t size = shape.head_dim * kAttentionTile;
  for (float* transposed : {tile.queries, tile.dout, tile.dqueries}) std::fill_n(transposed, size, 0.0F);
  transpose_tile(q_tile, q.stride, query.count, shape.head_dim, log2_scale(shape), tile.queries,
                 kAttentionTile);
  copy_tile(q_tile, q.stride, query.count, shape.head_dim, softmax_scale(shape), tile.query_rows);
  transpose_tile(dout_tile, operands.dout.stride, query.count, shape.head_dim, 1.0F, tile.dout,
                 kAttentionTile);
  copy_tile(dout_tile, operands.dout.stride, query.count, shape.head_dim, 1.0F, tile.dout_rows);
  std::fill_n(tile.log_sum, kAttentionTile, 0.0F);
  std::fill_n(tile.delta, kAttentionTile, 0.0F);
  const std::int64_t row = sequence * shape.heads + head;
  for (std::int64_t i = 0; i < query.count; ++i) {
    tile.log_sum[i] = operands.log_sum_exp(row, query.begin + i) * static_cast<float>(std::numbers::log2e);
    tile.delta[i] = operands.delta(row, query.begin + i);
  }
}

// weights: scores → p = 2^(score - log_sum); dscores: <dout, v> → p * (<dout, v> - delta).
HWY_NOINLINE void softmax_gradient(std::int64_t keys, BackwardTile& tile) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t q = 0; q < kAttentionTile; q += lanes) {
    const auto log_sum = hn::Load(d, tile.log_sum + q);
    const auto delta = hn::Load(d, tile.delta + q);
    for (std::int64_t j = 0; j < keys; ++j) {
      float* weight = tile.weights + j * kAttentionTile + q;
      float* dscore = tile.dscores + j * kAttentionTile + q;
      const auto p = exp2_of_non_positive(d, hn::Sub(hn::Load(d, weight), log_sum));
      hn::Store(p, d, weight);
      hn::Store(hn::Mul(p, hn::Sub(hn::Load(d, dscore), delta)), d, dscore);
    }
  }
}

void add_key_tile(const AttentionBackwardOperands& operands, const QueryTile& query, std::int64_t head,
                  std::int64_t key, BackwardTile& tile) {
  const AttentionInputs& inputs = operands.inputs;
  const std::int64_t kv_head = head / (inputs.shape.heads / inputs.shape.kv_heads);
  const std::int64_t head_dim = inputs.shape.head_dim;
  const std::int64_t keys = query.keys_of_tile(key);
  const std::int64_t row = query.keys_row + key;
  const std::int64_t column = kv_head * head_dim;
  copy_tile(inputs.k.row(row) + column, inputs.k.stride, keys, head_dim, 1.0F, tile.keys);
  tile_product(Start::kZero, {tile.keys, head_dim, 1, tile.queries, kAttentionTile, head_dim}, nullptr, keys,
               kAttentionTile, tile.weights, kAttentionTile);
  const bool bends = inputs.shape.softcap > 0.0;
  if (bends)
    cap_scores(static_cast<float>(inputs.shape.softcap * std::numbers::log2e), keys, tile.weights,
               tile.slopes);
  if (inputs.shape.alibi) lower_by_distance(query, key, log2_slope(inputs.shape, head), tile.weights);
  if (query.needs_mask(key)) mask_scores(query, key, tile.weights);
  tile_product(Start::kZero,
               {inputs.v.row(row) + column, inputs.v.stride, 1, tile.dout, kAttentionTile, head_dim}, nullptr,
               keys, kAttentionTile, tile.dscores, kAttentionTile);
  const bool drops =
      inputs.shape.dropout.rate > 0.0;  // weights that v meets, so what they are changed by, too
  if (drops) {
    fill_dropout(inputs.shape, query, head, key, tile.kept);
    scale_tile(keys, tile.kept, tile.dscores);
  }
  softmax_gradient(keys, tile);
  if (bends) scale_tile(keys, tile.slopes, tile.dscores);  // by the capped scores, now by the scores
  if (drops) scale_tile(keys, tile.kept, tile.weights);
  tile_product(Start::kSum, {tile.weights, kAttentionTile, 1, tile.dout_rows, head_dim, query.count}, nullptr,
               keys, head_dim, operands.dv.row(row) + column, operands.dv.stride);
  tile_product(Start::kSum, {tile.dscores, kAttentionTile, 1, tile.query_rows, head_dim, query.count},
               nullptr, keys, head_dim, operands.dk.row(row) + column, operands.dk.stride);
  tile_product(Start::kSum, {tile.keys, 1, head_dim, tile.dscores, kAttentionTile, keys}, nullptr, head_dim,
               kAttentionTile, tile.dqueries, kAttentionTile);
}

void clear_head(Matrix<float> gradient, std::int64_t first_row, std::int64_t rows, std::int64_t column,
                std::int64_t head_dim) {
  for (std::int64_t row = first_row; row < first_row + rows; ++row) {
    std::fill_n(gradient.row(row) + column, head_dim, 0.0F);
  }
}

// dk and dv of one key/value head: query heads in order, each with its query tiles in order.
void attention_backward_head(const AttentionBackwardOperands& operands, std::int64_t sequence,
                             std::int64_t kv_head) {
  const AttentionShape& shape = operands.inputs.shape;
  clear_head(operands.dk, sequence * shape.length, shape.length, kv_head * shape.head_dim, shape.head_dim);
  clear_head(operands.dv, sequence * shape.length, shape.length, kv_head * shape.head_dim, shape.head_dim);
  const std::int64_t group = shape.heads / shape.kv_heads;
  BackwardTile tile;
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (std::int64_t position = 0; position < shape.length; position += kAttentionTile) {
      const QueryTile query(operands.inputs, sequence, position);
      start_tile(operands, query, sequence, head, tile);
      for (std::int64_t key = query.keys_begin; key < query.keys_end(); key += kAttentionTile) {
        if (query.skips(key)) continue;
        add_key_tile(operands, query, head, key, tile);
      }
      transpose_tile(tile.dqueries, kAttentionTile, shape.head_dim, query.count, softmax_scale(shape),
                     operands.dq.row(query.first_row) + head * shape.head_dim, operands.dq.stride);
    }
  }
}

float dot_of_head(const float* a, const float* b, std::int64_t head_dim) {
  return sum_of_terms(head_dim, [&](auto d, std::int64_t i, auto total) HWY_ATTR {
    return hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), total);
  });
}

// delta = <dout, out> of every head of the tokens [first, last).
void attention_delta_rows(const AttentionShape& shape, Matrix<const float> dout, Matrix<const float> out,
                          Matrix<float> delta, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      const std::int64_t column = head * shape.head_dim;
      delta(t / shape.length * shape.heads + head, t % shape.length) =
          dot_of_head(dout.row(t) + column, out.row(t) + column, shape.head_dim);
    }
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(attention_backward_head);
HWY_EXPORT(attention_delta_rows);

namespace {

/// A sink gives nothing: its gradient is -Σ p delta, p its weight.
void sink_gradient(const AttentionInputs& inputs, Matrix<const float> log_sum_exp, Matrix<const float> delta,
                   std::span<float> dsinks) {
  const AttentionShape& shape = inputs.shape;
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    double sum = 0.0;
    for (std::int64_t row = head; row < shape.sequences * shape.heads; row += shape.heads) {
      for (std::int64_t i = 0; i < shape.length; ++i)
        sum -= std::exp(static_cast<double>(inputs.sinks[at(head)] - log_sum_exp(row, i))) * delta(row, i);
    }
    dsinks[at(head)] = static_cast<float>(sum);
  }
}

}  // namespace

void attention_backward(const Execution& execution, Arena& arena, const AttentionShape& shape,
                        ConstTensorView dout, ConstTensorView q, ConstTensorView k, ConstTensorView v,
                        ConstTensorView out, ConstTensorView log_sum_exp, ConstTensorView first_visible,
                        TensorView dq, TensorView dk, TensorView dv, ConstTensorView sinks,
                        TensorView dsinks) {
  const OpScope measured(execution, OpKind::kAttention);
  if (DeviceOps* device = device_ops(execution)) {
    check_on_device(shape);
    return device->attention_backward(shape, dout, q, k, v, out, log_sum_exp, first_visible, dq, dk, dv,
                                      sinks, dsinks);
  }
  const AttentionInputs inputs = checked_attention_inputs(shape, q, k, v, first_visible, sinks);
  check_matrix("attention: dout", dout, q.rows(), q.columns());
  check_matrix("attention: out", out, q.rows(), q.columns());
  check_matrix("attention: dq", dq, q.rows(), q.columns());
  check_matrix("attention: dk", dk, k.rows(), k.columns());
  check_matrix("attention: dv", dv, v.rows(), v.columns());
  check_matrix("attention: log_sum_exp", log_sum_exp, shape.sequences * shape.heads, shape.length);
  const ArenaScope scope(arena);
  const Matrix<float> delta = matrix(arena.allocate(Shape{shape.sequences * shape.heads, shape.length}));
  parallel_for_blocks(
      execution, q.rows(), rows_of_a_task(q.columns()), [&](std::int64_t first, std::int64_t last) {
        HWY_DYNAMIC_DISPATCH(attention_delta_rows)(shape, matrix(dout), matrix(out), delta, first, last);
      });
  const AttentionBackwardOperands operands{inputs,     matrix(dout), matrix(log_sum_exp), delta,
                                           matrix(dq), matrix(dk),   matrix(dv)};
  if (!inputs.sinks.empty())
    sink_gradient(inputs, matrix(log_sum_exp), delta, reals("attention: dsinks", dsinks, shape.heads));
  parallel_for(execution, shape.sequences * shape.kv_heads, [&](std::int64_t i) {
    HWY_DYNAMIC_DISPATCH(attention_backward_head)(operands, i / shape.kv_heads, i % shape.kv_heads);
  });
}

}  // namespace troupe::ops
#endif
