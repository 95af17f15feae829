#pragma once
#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

enum class Transpose : bool { kNo, kYes };
enum class Accumulate : bool { kNo, kYes };

/// c = op(a) op(b), or c += … with Accumulate::kYes. f32 matrices, rows may be strided.
///   op(a): [m, k], op(b): [k, n], c: [m, n]; k = 0 gives zero (or leaves c).
/// The product is cut into tiles whose borders depend on m, n, k and the transposes only; each
/// tile is one product on one thread, threads share out tiles, k is never split: same bits for
/// every execution.threads.
void gemm(const Execution& execution, Transpose transpose_a, Transpose transpose_b, ConstTensorView a,
          ConstTensorView b, TensorView c, Accumulate accumulate = Accumulate::kNo);

}  // namespace troupe::ops
