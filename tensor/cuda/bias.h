#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// y[t] += bias.  bias: [columns]; y: [rows, columns]. Reference: tensor/ops/bias/bias_ref.h.
void add_bias(Stream stream, const float* bias, Matrix<float> y);

/// Chunks of rows that bias_gradient() sums by.
[[nodiscard]] std::int64_t bias_chunks(std::int64_t rows);

/// dbias = Σ_t dy[t], chunks of rows in order, or dbias += that sum.
///   dy: [rows, columns]; dbias: [columns]; partial: [bias_chunks(rows), columns], scratch
void bias_gradient(Stream stream, Matrix<const float> dy, bool accumulate, float* dbias, float* partial);

}  // namespace troupe::cuda
