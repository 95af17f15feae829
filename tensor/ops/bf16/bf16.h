#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// y = x in bf16: the upper half of an f32, rounded to nearest, ties to even; NaN stays NaN.
/// x: f32, y: bf16, both contiguous and of one size
void to_bf16(const Execution& execution, ConstTensorView x, TensorView y);

/// y = x exactly.  x: bf16, y: f32, both contiguous and of one size
void from_bf16(const Execution& execution, ConstTensorView x, TensorView y);

/// x = x rounded to a bf16 value, in place.  x: f32, contiguous
void round_to_bf16(const Execution& execution, TensorView x);

}  // namespace troupe::ops
