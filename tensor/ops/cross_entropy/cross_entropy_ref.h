#pragma once
#include <algorithm>
#include <cmath>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// nll and log_z of every row, as in cross_entropy.h.
template <class T>
void cross_entropy_forward(Matrix<const T> logits, std::span<const std::int32_t> targets,
                           std::span<double> nll, std::span<double> log_z) {
  for (std::int64_t r = 0; r < logits.rows; ++r) {
    const auto row = at(r);
    nll[row] = log_z[row] = 0.0;
    if (targets[row] < 0) continue;
    T largest = logits(r, 0);
    for (std::int64_t j = 1; j < logits.columns; ++j) largest = std::max(largest, logits(r, j));
    T sum = 0;
    for (std::int64_t j = 0; j < logits.columns; ++j) sum += std::exp(logits(r, j) - largest);
    log_z[row] = static_cast<double>(largest) + std::log(static_cast<double>(sum));
    nll[row] = log_z[row] - static_cast<double>(logits(r, targets[row]));
  }
}

/// The same, and logits become  scale * ((1 + 2 * z_loss * log_z) * p - onehot(target)), 0 where masked.
template <class T>
void cross_entropy_forward_backward(Matrix<T> logits, std::span<const std::int32_t> targets, T scale,
                                    T z_loss, std::span<double> nll, std::span<double> log_z) {
  cross_entropy_forward<T>(logits, targets, nll, log_z);
  for (std::int64_t r = 0; r < logits.rows; ++r) {
    const auto row = at(r);
    const T z = static_cast<T>(log_z[row]);
    for (std::int64_t j = 0; j < logits.columns; ++j) {
      const T p = std::exp(logits(r, j) - z);
      const T onehot = targets[row] == j ? T{1} : T{0};
      logits(r, j) = targets[row] < 0 ? T{0} : scale * ((T{1} + 2 * z_loss * z) * p - onehot);
    }
  }
}

}  // namespace troupe::ops::reference
