#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// z[t][r] = <x[t], w[r]> / |w[r]|
template <class T>
void unit_row_products(Input<T> x, Input<T> w, Matrix<T> z) {
  for (std::int64_t t = 0; t < x.rows; ++t) {
    for (std::int64_t r = 0; r < w.rows; ++r) {
      T product = 0;
      T squares = 0;
      for (std::int64_t c = 0; c < w.columns; ++c) {
        product += x(t, c) * w(r, c);
        squares += w(r, c) * w(r, c);
      }
      z(t, r) = product / std::sqrt(squares);
    }
  }
}

}  // namespace troupe::ops::reference
