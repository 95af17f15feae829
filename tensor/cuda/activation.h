#pragma once
#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"
#include "tensor/ops/activation/kind.h"

namespace troupe::cuda {

/// y = activation(x). Reference: tensor/ops/activation/activation_ref.h.
///   x: [tokens, input_columns * size], a gate in the first half; y: [tokens, size]
void activation_forward(Stream stream, ops::Activation activation, Matrix<const float> x, Matrix<float> y);

/// dx: as x, overwritten, may be x; dy: [tokens, size]
void activation_backward(Stream stream, ops::Activation activation, Matrix<const float> dy,
                         Matrix<const float> x, Matrix<float> dx);

}  // namespace troupe::cuda
