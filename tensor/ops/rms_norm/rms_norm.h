#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Root mean square norm (arXiv 1910.07467): y = x / sqrt(mean(x²) + eps) * weight, by row.
///   x, y: [tokens, hidden], rows may be strided, y may be x; weight: [hidden]
///   inv_rms: [tokens], written, kept for backward
void rms_norm_forward(const Execution& execution, ConstTensorView x, ConstTensorView weight, double eps,
                      TensorView y, TensorView inv_rms);

/// dx: [tokens, hidden], overwritten, or added to with accumulate_dx (the residual path);
/// may be dy when not accumulating. dweight: [hidden], overwritten: the sum over tokens in order
/// (threads split columns, never tokens).
void rms_norm_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                       ConstTensorView weight, ConstTensorView inv_rms, TensorView dx, TensorView dweight,
                       bool accumulate_dx);

}  // namespace troupe::ops
