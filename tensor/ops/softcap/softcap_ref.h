#pragma once
#include <cmath>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

template <class T>
void softcap(double factor, double cap, std::span<T> x) {
  for (T& value : x) value = static_cast<T>(cap) * std::tanh(static_cast<T>(factor / cap) * value);
}

/// With y what softcap() made.
template <class T>
void softcap_backward(Vector<T> dy, Vector<T> y, double factor, double cap, std::span<T> dx) {
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const T ratio = y[i] / static_cast<T>(cap);
    dx[i] = dy[i] * static_cast<T>(factor) * (T{1} - ratio * ratio);
  }
}

}  // namespace troupe::ops::reference
