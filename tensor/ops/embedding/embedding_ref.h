#pragma once
#include "base/index.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// out[t] = table[tokens[t]].
template <class T>
void embedding_forward(std::span<const std::int32_t> tokens, Input<T> table, Matrix<T> out) {
  for (std::int64_t t = 0; t < out.rows; ++t) {
    for (std::int64_t j = 0; j < out.columns; ++j) out(t, j) = table(tokens[at(t)], j);
  }
}

/// dtable[tokens[t]] += dout[t], in token order.
template <class T>
void embedding_backward(std::span<const std::int32_t> tokens, Input<T> dout, Matrix<T> dtable) {
  for (std::int64_t t = 0; t < dout.rows; ++t) {
    for (std::int64_t j = 0; j < dout.columns; ++j) dtable(tokens[at(t)], j) += dout(t, j);
  }
}

}  // namespace troupe::ops::reference
