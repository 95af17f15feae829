#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/index.h"
#include "base/random.h"
#include "tensor/ops/attention/attention.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

namespace detail {
/// One query's place: its token row, its head's columns in q and in k and v, its row of log_sum_exp.
struct Query {
  std::int64_t position;  // in its sequence
  std::int64_t sequence_begin;
  std::int64_t q_begin;
  std::int64_t kv_begin;
  std::int64_t head_row;

  [[nodiscard]] std::int64_t token() const { return sequence_begin + position; }
};

template <class Body>
void for_each_query(const AttentionShape& shape, const Body& body) {
  for (std::int64_t s = 0; s < shape.sequences; ++s) {
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      const std::int64_t kv_head = h / (shape.heads / shape.kv_heads);
      for (std::int64_t i = 0; i < shape.length; ++i) {
        body(Query{i, s * shape.length, h * shape.head_dim, kv_head * shape.head_dim, s * shape.heads + h});
      }
    }
  }
}

/// Factor on the weight of a query and a key under dropout.
inline double kept(const AttentionShape& shape, const Query& query, std::int64_t key) {
  const AttentionDropout& dropout = shape.dropout;
  if (dropout.rate == 0.0) return 1.0;
  const std::int64_t number =
      (dropout.first_token + query.token()) * shape.heads + query.head_row % shape.heads;
  const Random random(dropout.seed, RandomPurpose::kAttentionDropout, dropout.layer);
  const std::int64_t index = number * ((shape.length + 3) / 4) + key / 4;
  const double uniform = random.words(static_cast<std::uint64_t>(index))[at(key % 4)] / 4294967296.0;
  return uniform < dropout.rate ? 0.0 : 1.0 / (1.0 - dropout.rate);
}

template <class T>
T dot(const T* a, const T* b, std::int64_t size) {
  T sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}
}  // namespace detail

namespace detail {
/// A score before the softmax, and its slope by <q, k>.
template <class T>
struct Score {
  T value;
  T slope;
};

/// distance: from the key to the query, in positions
template <class T>
Score<T> score(const AttentionShape& shape, std::int64_t head, std::int64_t distance, T product) {
  const T scale =
      shape.scale > 0.0 ? static_cast<T>(shape.scale) : T{1} / std::sqrt(static_cast<T>(shape.head_dim));
  const T fall =
      shape.alibi ? static_cast<T>(alibi_slope(head, shape.heads)) * static_cast<T>(distance) : T{0};
  if (shape.softcap == 0.0) return {scale * product - fall, scale};
  const T cap = static_cast<T>(shape.softcap);
  const T bent = std::tanh(scale * product / cap);
  return {cap * bent - fall, scale * (T{1} - bent * bent)};
}
}  // namespace detail

/// Softmax attention over the visible keys of each query, as in attention.h; empty sinks are none.
template <class T>
void attention_forward(const AttentionShape& shape, Input<T> q, Input<T> k, Input<T> v,
                       std::span<const std::int32_t> first_visible, Matrix<T> out, Matrix<T> log_sum_exp,
                       Vector<T> sinks = {}) {
  std::vector<T> scores(at(shape.length));
  detail::for_each_query(shape, [&](const detail::Query& query) {
    const std::int64_t first = first_visible[at(query.token())];
    const std::int64_t head = query.head_row % shape.heads;
    T largest = sinks.empty() ? -std::numeric_limits<T>::infinity() : sinks[at(head)];
    for (std::int64_t j = first; j <= query.position; ++j) {
      T& score = scores[at(j)];
      score = detail::score(shape, head, query.position - j,
                            detail::dot(&q(query.token(), query.q_begin),
                                        &k(query.sequence_begin + j, query.kv_begin), shape.head_dim))
                  .value;
      if (!sees(shape.window, shape.stride, query.position - j)) score = -std::numeric_limits<T>::infinity();
      largest = std::max(largest, score);
    }
    T sum = sinks.empty() ? T{0} : std::exp(sinks[at(head)] - largest);
    for (std::int64_t j = first; j <= query.position; ++j) sum += std::exp(scores[at(j)] - largest);
    const T log_sum = largest + std::log(sum);
    log_sum_exp(query.head_row, query.position) = log_sum;
    for (std::int64_t c = 0; c < shape.head_dim; ++c) {
      T value = 0;
      for (std::int64_t j = first; j <= query.position; ++j) {
        value += static_cast<T>(detail::kept(shape, query, j)) * std::exp(scores[at(j)] - log_sum) *
                 v(query.sequence_begin + j, query.kv_begin + c);
      }
      out(query.token(), query.q_begin + c) = value;
    }
  });
}

/// With p the attention weights, m what dropout multiplies them with, delta = <dout, out> and s' the score's
/// slope:  dv_j = Σ m p dout,  ds = p * (m <dout, v_j> - delta) * s',  dq = Σ ds k_j,  dk_j = Σ ds q,  dsink
/// = -Σ p_sink delta.
template <class T>
void attention_backward(const AttentionShape& shape, Input<T> dout, Input<T> q, Input<T> k, Input<T> v,
                        Input<T> out, Input<T> log_sum_exp, std::span<const std::int32_t> first_visible,
                        Matrix<T> dq, Matrix<T> dk, Matrix<T> dv, Vector<T> sinks = {},
                        std::span<T> dsinks = {}) {
  for (const auto& gradient : {dq, dk, dv}) {
    for (std::int64_t t = 0; t < gradient.rows; ++t) std::fill_n(&gradient(t, 0), gradient.columns, T{0});
  }
  std::fill(dsinks.begin(), dsinks.end(), T{0});
  detail::for_each_query(shape, [&](const detail::Query& query) {
    const T* dout_row = &dout(query.token(), query.q_begin);
    const T* q_row = &q(query.token(), query.q_begin);
    const T delta = detail::dot(dout_row, &out(query.token(), query.q_begin), shape.head_dim);
    const T log_sum = log_sum_exp(query.head_row, query.position);
    const auto head = at(query.head_row % shape.heads);
    if (!sinks.empty()) dsinks[head] -= std::exp(sinks[head] - log_sum) * delta;
    for (std::int64_t j = first_visible[at(query.token())]; j <= query.position; ++j) {
      if (!sees(shape.window, shape.stride, query.position - j)) continue;
      const std::int64_t key = query.sequence_begin + j;
      const T kept = static_cast<T>(detail::kept(shape, query, j));
      const T* k_row = &k(key, query.kv_begin);
      const auto score = detail::score(shape, query.head_row % shape.heads, query.position - j,
                                       detail::dot(q_row, k_row, shape.head_dim));
      const T p = std::exp(score.value - log_sum);
      const T ds =
          score.slope * p * (kept * detail::dot(dout_row, &v(key, query.kv_begin), shape.head_dim) - delta);
      for (std::int64_t c = 0; c < shape.head_dim; ++c) {
        dv(key, query.kv_begin + c) += kept * p * dout_row[c];
        dk(key, query.kv_begin + c) += ds * q_row[c];
        dq(query.token(), query.q_begin + c) += ds * k_row[c];
      }
    }
  });
}

}  // namespace troupe::ops::reference
