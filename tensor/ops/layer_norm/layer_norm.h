#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// Layer norm (arXiv 1607.06450): y = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, by row.
///   x, y: [tokens, hidden], rows may be strided, y may be x; weight: [hidden]; bias: [hidden], or without
///   data mean, inv_std: [tokens], written, kept for backward
void layer_norm_forward(const Execution& execution, ConstTensorView x, ConstTensorView weight,
                        ConstTensorView bias, double eps, TensorView y, TensorView mean, TensorView inv_std);

/// dx: [tokens, hidden], overwritten, or added to with accumulate_dx (the residual path); may be dy when not
/// accumulating. dweight, dbias: [hidden], overwritten: sums over tokens in order (threads split columns,
/// never tokens); dbias without data: none.
void layer_norm_backward(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                         ConstTensorView weight, ConstTensorView mean, ConstTensorView inv_std, TensorView dx,
                         TensorView dweight, TensorView dbias, bool accumulate_dx);

}  // namespace troupe::ops
