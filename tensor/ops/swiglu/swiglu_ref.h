#pragma once
#include <cmath>

#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// y = silu(gate) * up, as in swiglu.h.
template <class T>
void swiglu_forward(Input<T> gate_up, Matrix<T> y) {
  for (std::int64_t t = 0; t < y.rows; ++t) {
    for (std::int64_t j = 0; j < y.columns; ++j) {
      const T gate = gate_up(t, j);
      y(t, j) = gate / (T{1} + std::exp(-gate)) * gate_up(t, y.columns + j);
    }
  }
}

/// With s = sigmoid(gate):  dgate = dy * up * s * (1 + gate * (1 - s)),  dup = dy * gate * s.
template <class T>
void swiglu_backward(Input<T> dy, Input<T> gate_up, Matrix<T> dgate_up) {
  for (std::int64_t t = 0; t < dy.rows; ++t) {
    for (std::int64_t j = 0; j < dy.columns; ++j) {
      const T gate = gate_up(t, j);
      const T up = gate_up(t, dy.columns + j);
      const T sigmoid = T{1} / (T{1} + std::exp(-gate));
      dgate_up(t, j) = dy(t, j) * up * sigmoid * (T{1} + gate * (T{1} - sigmoid));
      dgate_up(t, dy.columns + j) = dy(t, j) * gate * sigmoid;
    }
  }
}

}  // namespace troupe::ops::reference
