#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y = silu(gate) * up (arXiv 2002.05202).
///   gate_up: [tokens, 2 * size], gate in the first half; y: [tokens, size]
void swiglu_forward(const Execution& execution, ConstTensorView gate_up, TensorView y);

/// dgate_up: [tokens, 2 * size], overwritten, may be gate_up.
void swiglu_backward(const Execution& execution, ConstTensorView dy, ConstTensorView gate_up, TensorView dgate_up);

}  // namespace troupe::ops
