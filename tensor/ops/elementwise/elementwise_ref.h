#pragma once
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

using Slots = Matrix<const std::int32_t>;

/// out[t] = ((w[t,0]*y[slot(t,0)] + …) + base[t]); a base without data is none.
template <class T>
void combine_rows(Input<T> y, Slots slots, Input<T> weights, Input<T> base, Matrix<T> out) {
  for (std::int64_t t = 0; t < out.rows; ++t) {
    for (std::int64_t j = 0; j < out.columns; ++j) {
      T sum = 0;
      for (std::int64_t s = 0; s < slots.columns; ++s) {
        if (slots(t, s) >= 0) sum += weights(t, s) * y(slots(t, s), j);
      }
      out(t, j) = base.data == nullptr ? sum : sum + base(t, j);
    }
  }
}

/// dy[slot(t,s)] = w[t,s] * dout[t],  dweights[t,s] = <dout[t], y[slot(t,s)]>, 0 where dropped.
template <class T>
void combine_rows_backward(Input<T> dout, Input<T> y, Slots slots, Input<T> weights, Matrix<T> dy,
                           Matrix<T> dweights) {
  for (std::int64_t t = 0; t < dout.rows; ++t) {
    for (std::int64_t s = 0; s < slots.columns; ++s) {
      dweights(t, s) = 0;
      if (slots(t, s) < 0) continue;
      for (std::int64_t j = 0; j < dout.columns; ++j) {
        dweights(t, s) += dout(t, j) * y(slots(t, s), j);
        dy(slots(t, s), j) = weights(t, s) * dout(t, j);
      }
    }
  }
}

/// out[t,s] += <a[t], y[slot(t,s)]>, nothing where the slot is empty.
template <class T>
void add_slot_products(Input<T> a, Input<T> y, Slots slots, Matrix<T> out) {
  for (std::int64_t t = 0; t < out.rows; ++t) {
    for (std::int64_t s = 0; s < slots.columns; ++s) {
      T product = 0;
      for (std::int64_t j = 0; slots(t, s) >= 0 && j < a.columns; ++j) product += a(t, j) * y(slots(t, s), j);
      out(t, s) += product;
    }
  }
}

/// dx[t] += (dgathered[slot(t,0)] + dgathered[slot(t,1)]) + ….
template <class T>
void scatter_slots_add(Input<T> dgathered, Slots slots, Matrix<T> dx) {
  for (std::int64_t t = 0; t < dx.rows; ++t) {
    for (std::int64_t j = 0; j < dx.columns; ++j) {
      T sum = 0;
      for (std::int64_t s = 0; s < slots.columns; ++s) {
        if (slots(t, s) >= 0) sum += dgathered(slots(t, s), j);
      }
      dx(t, j) += sum;
    }
  }
}

}  // namespace troupe::ops::reference
