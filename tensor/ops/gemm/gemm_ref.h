#pragma once
#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// c = op(a) op(b), or c += …, as in gemm.h.
template <class T>
void gemm(Transpose transpose_a, Transpose transpose_b, Input<T> a, Input<T> b, Matrix<T> c,
          Accumulate accumulate) {
  const std::int64_t inner = transpose_a == Transpose::kYes ? a.rows : a.columns;
  for (std::int64_t i = 0; i < c.rows; ++i) {
    for (std::int64_t j = 0; j < c.columns; ++j) {
      T sum = 0;
      for (std::int64_t p = 0; p < inner; ++p) {
        const T left = transpose_a == Transpose::kYes ? a(p, i) : a(i, p);
        const T right = transpose_b == Transpose::kYes ? b(j, p) : b(p, j);
        sum += left * right;
      }
      c(i, j) = accumulate == Accumulate::kYes ? c(i, j) + sum : sum;
    }
  }
}

}  // namespace troupe::ops::reference
