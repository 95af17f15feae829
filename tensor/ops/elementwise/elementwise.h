#pragma once
#include <span>

#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y += x, element by element.  x, y: contiguous, of as many elements; so in the next two
void add(const Execution& execution, ConstTensorView x, TensorView y);

/// out = a + b; out may be a or b.
void sum(const Execution& execution, ConstTensorView a, ConstTensorView b, TensorView out);

/// y = factor * x + shift; y may be x.
void affine(const Execution& execution, ConstTensorView x, float factor, float shift, TensorView y);

/// x[t] *= factors[t].  x: [tokens, columns], rows may be strided; factors: [tokens]
void scale_rows(const Execution& execution, ConstTensorView factors, TensorView x);

/// 1 + strength ln(1 + floor((position + 1) / length)), by which queries grow with their position (Llama 4).
///   positions: [tokens] i32; factors: [tokens]
void temperatures(const Execution& execution, ConstTensorView positions, double strength, std::int64_t length,
                  TensorView factors);

/// y = 0.
void zero(const Execution& execution, TensorView y);

/// Sum of squares of x in fp64, added in element order of a fixed lane structure that depends on
/// x.size() only: same bits on every thread and worker.
[[nodiscard]] double sum_of_squares(std::span<const float> x);

/// out[i] = x[rows[i]].  rows: [count] i32, x: [*, columns], out: [count, columns]
void gather_rows(const Execution& execution, ConstTensorView x, ConstTensorView rows, TensorView out);

/// Weighted sum of expert outputs, slots in order, then `base` (arXiv 1701.06538 eq. 1):
///   out[t] = ((w[t,0]*y[slot(t,0)] + w[t,1]*y[slot(t,1)]) + …) + base[t]
///   y: [routed, hidden]; slots: [tokens, top_k] i32 row of y, -1 = dropped (adds nothing);
///   weights: [tokens, top_k]; base: [tokens, hidden], may be an empty view or `out`; out: [tokens, hidden]
void combine_rows(const Execution& execution, ConstTensorView y, ConstTensorView slots,
                  ConstTensorView weights, ConstTensorView base, TensorView out);

/// Its gradient: dy[slot(t,j)] = w[t,j] * dout[t];  dweights[t,j] = <dout[t], y[slot(t,j)]> in a fixed
/// order of summation. dy: [routed, hidden]; dweights: [tokens, top_k]
void combine_rows_backward(const Execution& execution, ConstTensorView dout, ConstTensorView y,
                           ConstTensorView slots, ConstTensorView weights, TensorView dy,
                           TensorView dweights);

/// out[t,j] += <a[t], y[slot(t,j)]> in a fixed order of summation, where the slot is not -1.
///   a: [tokens, hidden]; y: [routed, hidden]; out: [tokens, slots]
void add_slot_products(const Execution& execution, ConstTensorView a, ConstTensorView y,
                       ConstTensorView slots, TensorView out);

/// dx[t] += (dgathered[slot(t,0)] + dgathered[slot(t,1)]) + … : the gradient of gathering a token once
/// per slot; slots added in order.
void scatter_slots_add(const Execution& execution, ConstTensorView dgathered, ConstTensorView slots,
                       TensorView dx);

}  // namespace troupe::ops
