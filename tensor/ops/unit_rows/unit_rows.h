#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

// A matrix whose rows are divided by their lengths, without that it is ever there: products with it are
// products with the matrix, times a factor for each row. On the host only.

/// factors[r] = 1 / |w[r]|, of rows of zeros 1e12.  w: [rows, columns]; factors: [rows]
void unit_row_factors(const Execution& execution, ConstTensorView w, TensorView factors);

/// x[t][r] *= factors[r].  x: [tokens, rows]
void scale_columns(const Execution& execution, ConstTensorView factors, TensorView x);

/// From the gradient of a product's other side to that of w: with ŵ the divided row and G the gradient of ŵ,
///   gradient[r] = factors[r] G[r]  becomes  gradient[r] - ŵ[r] <ŵ[r], gradient[r]>.
///   gradient: [rows, columns]
void unit_rows_backward(const Execution& execution, ConstTensorView w, ConstTensorView factors,
                        TensorView gradient);

}  // namespace troupe::ops
