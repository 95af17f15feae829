#pragma once
#include "tensor/execution.h"
#include "tensor/ops/activation/kind.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y = activation(x).
///   x: [tokens, input_columns * size], a gate in the first half; y: [tokens, size]
void activation_forward(const Execution& execution, Activation activation, ConstTensorView x, TensorView y);

/// Its gradient. Where it has a corner, the slope is 0 for a ReLU at 0 and 1 for a clamp at its limit.
///   dy: [tokens, size]; dx: as x, overwritten, may be x
void activation_backward(const Execution& execution, Activation activation, ConstTensorView dy,
                         ConstTensorView x, TensorView dx);

}  // namespace troupe::ops
