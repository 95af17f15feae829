#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// y = n(x) * weight by row, n(x) = x / sqrt(mean(x²) + eps); with a residual, of x = residual + x, which is
/// stored too. Rows are tokens, or the heads of tokens (QK-norm). Reference:
/// tensor/ops/rms_norm/rms_norm_ref.h.
///   x, residual, stored, y: [rows, width]; weight: [width]; inv_rms: [rows], kept for backward
struct RmsNormForward {
  Heads<const float> x;
  Heads<const float> residual;  // without data: none
  Heads<float> stored;          // x + residual, where there is one; may be residual or x
  const float* weight;
  float eps;
  Heads<float> y;  // may be x
  float* inv_rms;
};
void rms_norm_forward(Stream stream, const RmsNormForward& arguments);

/// Chunks of rows that rms_norm_backward() sums the weight's gradient by.
[[nodiscard]] std::int64_t rms_norm_chunks(std::int64_t rows);

/// dx, overwritten or added to; dweight, overwritten: chunks of rows in order.
///   dy, x, dx: [rows, width], dx may be dy when not accumulating; dweight: [width]
///   partial: [rms_norm_chunks(rows), width], scratch
struct RmsNormBackward {
  Heads<const float> dy;
  Heads<const float> x;
  const float* weight;
  const float* inv_rms;
  Heads<float> dx;
  bool accumulate_dx;
  float* dweight;
  float* partial;
};
void rms_norm_backward(Stream stream, const RmsNormBackward& arguments);

}  // namespace troupe::cuda
