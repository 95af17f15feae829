#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// Rows between tokens and experts, as tensor/ops/elementwise/elementwise.h says; a slot of -1 adds nothing.
/// References: tensor/ops/elementwise/elementwise_ref.h.

/// out[i] = x[rows[i]], times weights[pairs[i]] where weights are given.
///   rows, pairs: [out.rows]; weights: [tokens * slots] or null; x: [tokens, hidden]
void gather_rows(Stream stream, Matrix<const float> x, const std::int32_t* rows, const float* weights,
                 const std::int32_t* pairs, Matrix<float> out);

/// out[t] = ((w[t,0]*y[slot(t,0)] + w[t,1]*y[slot(t,1)]) + …) + base[t]
///   y: [routed, hidden]; slots, weights: [tokens, top_k]; base: [tokens, hidden], none without data
void combine_rows(Stream stream, Matrix<const float> y, Matrix<const std::int32_t> slots,
                  Matrix<const float> weights, Matrix<const float> base, Matrix<float> out);

/// dy[slot(t,j)] = w[t,j] * dout[t];  dweights[t,j] = <dout[t], y[slot(t,j)]>
void combine_rows_backward(Stream stream, Matrix<const float> dout, Matrix<const float> y,
                           Matrix<const std::int32_t> slots, Matrix<const float> weights, Matrix<float> dy,
                           Matrix<float> dweights);

/// out[t,j] += <a[t], y[slot(t,j)]>
void add_slot_products(Stream stream, Matrix<const float> a, Matrix<const float> y,
                       Matrix<const std::int32_t> slots, Matrix<float> out);

/// dx[t] += (w[t,0]*dgathered[slot(t,0)] + …), weights 1 without data: the gradient of gather_rows().
void scatter_slots_add(Stream stream, Matrix<const float> dgathered, Matrix<const std::int32_t> slots,
                       Matrix<const float> weights, Matrix<float> dx);

}  // namespace troupe::cuda
