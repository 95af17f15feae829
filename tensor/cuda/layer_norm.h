#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

/// y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, by row. Reference:
/// tensor/ops/layer_norm/layer_norm_ref.h.
///   x, y: [rows, width], y may be x; weight: [width]; bias: [width], or null
///   mean, inv_std: [rows], kept for backward
struct LayerNormForward {
  Matrix<const float> x;
  const float* weight;
  const float* bias;
  float eps;
  Matrix<float> y;
  float* mean;
  float* inv_std;
};
void layer_norm_forward(Stream stream, const LayerNormForward& arguments);

/// Chunks of rows that layer_norm_backward() sums the weight's gradient by.
[[nodiscard]] std::int64_t layer_norm_chunks(std::int64_t rows);

/// dx, overwritten or added to; dweight, overwritten: chunks of rows in order. The bias's is
/// bias_gradient()'s.
///   dy, x, dx: [rows, width], dx may be dy when not accumulating; dweight: [width]
///   partial: [layer_norm_chunks(rows), width], scratch
struct LayerNormBackward {
  Matrix<const float> dy;
  Matrix<const float> x;
  const float* weight;
  const float* mean;
  const float* inv_std;
  Matrix<float> dx;
  bool accumulate_dx;
  float* dweight;
  float* partial;
};
void layer_norm_backward(Stream stream, const LayerNormBackward& arguments);

}  // namespace troupe::cuda
