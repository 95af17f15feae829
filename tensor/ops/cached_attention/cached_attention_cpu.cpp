#include "tensor/ops/cached_attention/cached_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/index.h"
#include "tensor/ops/cached_attention/attended_head.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/matrix.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/cached_attention/cached_attention_cpu.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include <hwy/highway.h>

#include "tensor/ops/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {

/// Fills the scores; returns the largest, the sink among them.
float score_keys(const AttendedHead& head) {
  float largest = head.sink == nullptr ? -std::numeric_limits<float>::infinity() : *head.sink;
  for (std::int64_t i = 0; i < head.seen; ++i) {
    const std::int64_t distance = head.seen - 1 - i;
    if (!sees(head.window, head.stride, distance)) {
      head.scores[i] = -std::numeric_limits<float>::infinity();
      continue;
    }
    const float* key = head.keys.row(head.row(i));
    float score = head.scale * sum_of_terms(head.keys.columns, [&](auto d, std::int64_t c, auto total) {
                    return hn::MulAdd(hn::LoadU(d, head.query + c), hn::LoadU(d, key + c), total);
                  });
    if (head.softcap > 0.0F) score = head.softcap * std::tanh(score / head.softcap);
    score -= head.slope * static_cast<float>(distance);
    head.scores[i] = score;
    largest = std::max(largest, score);
  }
  return largest;
}

void attend(const AttendedHead& head) {
  const float largest = score_keys(head);
  float sum = sum_of_terms(head.seen, [&](auto d, std::int64_t i, auto total) {
    const auto e = exp_of_non_positive(d, hn::Sub(hn::LoadU(d, head.scores + i), hn::Set(d, largest)));
    hn::StoreU(e, d, head.scores + i);
    return hn::Add(total, e);
  });
  if (head.sink != nullptr) sum += std::exp(*head.sink - largest);
  std::fill_n(head.out, head.values.columns, 0.0F);
  for (std::int64_t i = 0; i < head.seen; ++i) {
    const float* row = head.values.row(head.row(i));
    const float weight = head.scores[i] / sum;
    for_each_vector(0, head.values.columns, [&](auto d, std::int64_t c) {
      const auto value = hn::LoadU(d, row + c);
      hn::StoreU(hn::MulAdd(value, hn::Set(d, weight), hn::LoadU(d, head.out + c)), d, head.out + c);
    });
  }
}

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {
namespace {

HWY_EXPORT(attend);

struct Operands {
  Matrix<const float> q;
  Matrix<const float> keys;
  Matrix<const float> values;
  std::span<const std::int32_t> sequences;
  std::span<const std::int32_t> positions;
  std::span<const std::int32_t> first_visible;
  std::span<const float> sinks;
  Matrix<float> out;
};

void check_places(const CachedAttentionShape& shape, const Operands& operands) {
  const std::int64_t sequences = operands.keys.rows / shape.capacity;
  for (std::size_t row = 0; row < operands.sequences.size(); ++row) {
    const std::int32_t sequence = operands.sequences[row];
    const std::int32_t position = operands.positions[row];
    const std::int32_t first = operands.first_visible[row];
    TROUPE_CHECK(sequence >= 0 && sequence < sequences && first >= 0 && first <= position &&
                     position - first < shape.capacity,
                 "cached attention: row {}: sequence {} of {}, positions {} to {}, {} are kept", row,
                 sequence, sequences, first, position, shape.capacity);
  }
}

/// Of a row's query head. scores: memory of the thread
AttendedHead attended(const CachedAttentionShape& shape, const Operands& operands, std::int64_t row,
                      std::int64_t head, std::vector<float>& scores) {
  const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
  const std::int64_t first = operands.first_visible[at(row)];
  const std::int64_t begin = operands.sequences[at(row)] * shape.capacity;
  const std::int64_t seen = operands.positions[at(row)] - first + 1;
  const auto part = [&](const Matrix<const float>& kept, std::int64_t width) {
    return Matrix<const float>{kept.row(begin) + kv_head * width, shape.capacity, width, kept.stride};
  };
  scores.resize(at(seen));
  return {.query = operands.q.row(row) + head * shape.key_dim,
          .keys = part(operands.keys, shape.key_dim),
          .values = part(operands.values, shape.value_dim),
          .first = first % shape.capacity,
          .seen = seen,
          .scale = static_cast<float>(
              shape.scale > 0.0 ? shape.scale : 1.0 / std::sqrt(static_cast<double>(shape.key_dim))),
          .softcap = static_cast<float>(shape.softcap),
          .slope = shape.alibi ? static_cast<float>(alibi_slope(head, shape.heads)) : 0.0F,
          .window = shape.window,
          .stride = shape.stride,
          .sink = operands.sinks.empty() ? nullptr : &operands.sinks[at(head)],
          .scores = scores.data(),
          .out = operands.out.row(row) + head * shape.value_dim};
}

}  // namespace

void cached_attention(const Execution& execution, const CachedAttentionShape& shape, ConstTensorView q,
                      ConstTensorView keys, ConstTensorView values, ConstTensorView sequences,
                      ConstTensorView positions, ConstTensorView first_visible, TensorView out,
                      ConstTensorView sinks) {
  const std::int64_t rows = q.rows();
  TROUPE_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0 && shape.capacity > 0 &&
                   keys.rows() % shape.capacity == 0,
               "cached attention: {} heads to {}, {} rows of {} positions", shape.heads, shape.kv_heads,
               keys.rows(), shape.capacity);
  check_matrix("cached attention: q", q, rows, shape.heads * shape.key_dim);
  check_matrix("cached attention: keys", keys, keys.rows(), shape.kv_heads * shape.key_dim);
  check_matrix("cached attention: values", values, keys.rows(), shape.kv_heads * shape.value_dim);
  check_matrix("cached attention: out", out, rows, shape.heads * shape.value_dim);
  const bool has_sinks = sinks.data() != nullptr;
  const Operands operands{
      matrix(q),
      matrix(keys),
      matrix(values),
      integers("cached attention: sequences", sequences, rows),
      integers("cached attention: positions", positions, rows),
      integers("cached attention: first_visible", first_visible, rows),
      has_sinks ? reals("cached attention: sinks", sinks, shape.heads) : std::span<const float>(),
      matrix(out)};
  check_places(shape, operands);
  const OpScope measured(execution, OpKind::kAttention);
  parallel_for(execution, rows * shape.heads, [&](std::int64_t task) {
    thread_local std::vector<float> scores;
    HWY_DYNAMIC_DISPATCH(attend)(attended(shape, operands, task / shape.heads, task % shape.heads, scores));
  });
}

}  // namespace troupe::ops
#endif
