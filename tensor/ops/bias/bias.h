#pragma once
#include "tensor/execution.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y[t] += bias for every row.  bias: [columns]; y: [rows, columns]
void add_bias(const Execution& execution, ConstTensorView bias, TensorView y);

/// Its gradient: dbias = Σ_t dy[t], rows in order, or dbias += that sum, complete before it is added.
/// Threads split columns.  dy: [rows, columns]; dbias: [columns]
void bias_gradient(const Execution& execution, ConstTensorView dy, TensorView dbias,
                   Accumulate accumulate = Accumulate::kNo);

}  // namespace troupe::ops
