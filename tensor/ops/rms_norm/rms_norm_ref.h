#pragma once
#include <cmath>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// y = x / sqrt(mean(x²) + eps) * weight, by row; as in rms_norm.h.
template <class T>
void rms_norm_forward(Input<T> x, Vector<T> weight, double eps, Matrix<T> y, std::span<T> inv_rms) {
  for (std::int64_t t = 0; t < x.rows; ++t) {
    T squares = 0;
    for (std::int64_t j = 0; j < x.columns; ++j) squares += x(t, j) * x(t, j);
    const T scale = T{1} / std::sqrt(squares / static_cast<T>(x.columns) + static_cast<T>(eps));
    inv_rms[at(t)] = scale;
    for (std::int64_t j = 0; j < x.columns; ++j) y(t, j) = x(t, j) * scale * weight[at(j)];
  }
}

/// With n = x * inv_rms:  dx = inv_rms * (dy*weight - n * mean(dy*weight*n)),  dweight = Σ_t dy*n.
template <class T>
void rms_norm_backward(Input<T> dy, Input<T> x, Vector<T> weight, Vector<T> inv_rms, Matrix<T> dx,
                       std::span<T> dweight, bool accumulate_dx) {
  for (T& value : dweight) value = 0;
  for (std::int64_t t = 0; t < x.rows; ++t) {
    const T scale = inv_rms[at(t)];
    T mean = 0;
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const auto column = at(j);
      dweight[column] += dy(t, j) * x(t, j) * scale;
      mean += dy(t, j) * weight[column] * x(t, j) * scale;
    }
    mean /= static_cast<T>(x.columns);
    for (std::int64_t j = 0; j < x.columns; ++j) {
      const T gradient = scale * (dy(t, j) * weight[at(j)] - x(t, j) * scale * mean);
      dx(t, j) = accumulate_dx ? dx(t, j) + gradient : gradient;
    }
  }
}

}  // namespace troupe::ops::reference
