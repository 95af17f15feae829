#pragma once
#include <span>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

template <class T>
void add_bias(Vector<T> bias, Matrix<T> y) {
  for (std::int64_t t = 0; t < y.rows; ++t) {
    for (std::int64_t j = 0; j < y.columns; ++j) y(t, j) += bias[at(j)];
  }
}

/// Adds to dbias.
template <class T>
void add_bias_gradient(Input<T> dy, std::span<T> dbias) {
  for (std::int64_t j = 0; j < dy.columns; ++j) {
    T sum = 0;
    for (std::int64_t t = 0; t < dy.rows; ++t) sum += dy(t, j);
    dbias[at(j)] += sum;
  }
}

}  // namespace troupe::ops::reference
