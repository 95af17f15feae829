#pragma once
#include <cmath>
#include <cstddef>
#include <span>

#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

template <class T>
void sigmoid_gate(Vector<T> x, Vector<T> gate, std::span<T> y) {
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] / (T{1} + std::exp(-gate[i]));
}

template <class T>
void sigmoid_gate_backward(Vector<T> dy, Vector<T> x, Vector<T> gate, std::span<T> dx, std::span<T> dgate) {
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const T s = T{1} / (T{1} + std::exp(-gate[i]));
    dgate[i] = dy[i] * x[i] * s * (T{1} - s);
    dx[i] = dy[i] * s;
  }
}

}  // namespace troupe::ops::reference
