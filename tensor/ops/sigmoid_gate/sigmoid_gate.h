#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y = x * sigmoid(gate), element by element.  All contiguous, of as many elements; y may be x. On the host
/// only.
void sigmoid_gate(const Execution& execution, ConstTensorView x, ConstTensorView gate, TensorView y);

/// dx = dy * s and dgate = dy * x * s (1 - s), with s = sigmoid(gate).  dx may be dy.
void sigmoid_gate_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                           ConstTensorView gate, TensorView dx, TensorView dgate);

}  // namespace troupe::ops
