#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/index.h"
#include "tensor/ops/cached_attention/cached_attention.h"
#include "tensor/ops/matrix.h"

namespace troupe::ops::reference {

/// As in cached_attention.h; empty sinks are none.
template <class T>
void cached_attention(const CachedAttentionShape& shape, Matrix<const T> q, Matrix<const T> keys,
                      Matrix<const T> values, std::span<const std::int32_t> sequences,
                      std::span<const std::int32_t> positions, std::span<const std::int32_t> first_visible,
                      Matrix<T> out, std::span<const T> sinks = {}) {
  const T scale =
      shape.scale > 0.0 ? static_cast<T>(shape.scale) : T{1} / std::sqrt(static_cast<T>(shape.key_dim));
  for (std::int64_t row = 0; row < q.rows; ++row) {
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      const std::int64_t kv_head = head / (shape.heads / shape.kv_heads);
      const std::int64_t begin = sequences[at(row)] * shape.capacity;
      std::vector<T> scores;
      T largest = sinks.empty() ? -std::numeric_limits<T>::infinity() : sinks[at(head)];
      for (std::int64_t p = first_visible[at(row)]; p <= positions[at(row)]; ++p) {
        T score = 0;
        for (std::int64_t c = 0; c < shape.key_dim; ++c)
          score += q(row, head * shape.key_dim + c) *
                   keys(begin + p % shape.capacity, kv_head * shape.key_dim + c);
        score *= scale;
        const T cap = static_cast<T>(shape.softcap);
        if (cap > 0) score = cap * std::tanh(score / cap);
        if (shape.alibi)
          score -= static_cast<T>(alibi_slope(head, shape.heads)) * static_cast<T>(positions[at(row)] - p);
        if (!sees(shape.window, shape.stride, positions[at(row)] - p))
          score = -std::numeric_limits<T>::infinity();
        scores.push_back(score);
        largest = std::max(largest, score);
      }
      T sum = sinks.empty() ? T{0} : std::exp(sinks[at(head)] - largest);
      for (T& score : scores) sum += score = std::exp(score - largest);
      for (std::int64_t c = 0; c < shape.value_dim; ++c) {
        T value = 0;
        for (std::size_t i = 0; i < scores.size(); ++i) {
          value += scores[i] / sum *
                   values(begin + (first_visible[at(row)] + static_cast<std::int64_t>(i)) % shape.capacity,
                          kv_head * shape.value_dim + c);
        }
        out(row, head * shape.value_dim + c) = value;
      }
    }
  }
}

}  // namespace troupe::ops::reference
