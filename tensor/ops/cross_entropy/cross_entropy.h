#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Next-token loss of some rows, and its gradient in the same pass.
///   logits: [rows, vocab]; targets: [rows] i32, -1 = masked (no loss, zero gradient)
///   nll: [rows] f64, -log p(target) in nats, 0 where masked
///   log_z: [rows] f64, log of the sum of exponentials, 0 where masked
void cross_entropy_forward(const Execution& execution, ConstTensorView logits, ConstTensorView targets,
                           TensorView nll, TensorView log_z);

/// The same, and replaces logits by the gradient of  scale * sum over rows of (nll + z_loss * log_z²).
void cross_entropy_forward_backward(const Execution& execution, TensorView logits, ConstTensorView targets,
                                    float scale, float z_loss, TensorView nll, TensorView log_z);

}  // namespace troupe::ops
