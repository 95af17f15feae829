#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// x becomes cap * tanh(factor * x / cap), which stays within ±cap.
///   x: contiguous; cap > 0
void softcap(const Execution& execution, double factor, double cap, TensorView x);

/// dx = dy * factor * (1 - (y / cap)²), y what softcap() made.  dx may be dy.
void softcap_backward(const Execution& execution, ConstTensorView dy, ConstTensorView y, double factor,
                      double cap, TensorView dx);

}  // namespace troupe::ops
