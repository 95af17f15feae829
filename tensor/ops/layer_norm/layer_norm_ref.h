#pragma once
#include <cmath>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, by row; an empty bias is none.
template <class T>
void layer_norm_forward(Input<T> x, Vector<T> weight, Vector<T> bias, double eps, Matrix<T> y,
                        std::span<T> mean, std::span<T> inv_std) {
  const T columns = static_cast<T>(x.columns);
  for (std::int64_t t = 0; t < x.rows; ++t) {
    T sum = 0;
    for (std::int64_t j = 0; j < x.columns; ++j) sum += x(t, j);
    const T center = sum / columns;
    T squares = 0;
    for (std::int64_t j = 0; j < x.columns; ++j) squares += (x(t, j) - center) * (x(t, j) - center);
    const T scale = T{1} / std::sqrt(squares / columns + static_cast<T>(eps));
    mean[at(t)] = center;
    inv_std[at(t)] = scale;
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const T shift = bias.empty() ? T{0} : bias[at(j)];
      y(t, j) = (x(t, j) - center) * scale * weight[at(j)] + shift;
    }
  }
}

/// With n = (x - mean) * inv_std and g = dy * weight:
///   dx = inv_std * (g - mean(g) - n * mean(g * n)),  dweight = Σ_t dy*n,  dbias = Σ_t dy.
template <class T>
void layer_norm_backward(Input<T> dy, Input<T> x, Vector<T> weight, Vector<T> mean, Vector<T> inv_std,
                         Matrix<T> dx, std::span<T> dweight, std::span<T> dbias, bool accumulate_dx) {
  for (T& value : dweight) value = 0;
  for (T& value : dbias) value = 0;
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const auto normed = [&](std::int64_t j) { return (x(t, j) - mean[at(t)]) * inv_std[at(t)]; };
    T sum = 0;
    T along = 0;
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const T gradient = dy(t, j) * weight[at(j)];
      sum += gradient;
      along += gradient * normed(j);
      dweight[at(j)] += dy(t, j) * normed(j);
      if (!dbias.empty()) dbias[at(j)] += dy(t, j);
    }
    const T columns = static_cast<T>(x.columns);
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const T gradient =
          inv_std[at(t)] * (dy(t, j) * weight[at(j)] - sum / columns - normed(j) * along / columns);
      dx(t, j) = accumulate_dx ? dx(t, j) + gradient : gradient;
    }
  }
}

}  // namespace troupe::ops::reference
