#pragma once
#include <cstdint>

#include "tensor/ops/matrix.h"

namespace troupe::ops {

/// Whether c = a bᵀ of this size is faster here than in the library, which copies b for every
/// call: with few rows of a that costs as much as the product. Measured with 12 to 128 rows; from
/// 1.1 times the library's rate at 128 rows to twice at 16.
[[nodiscard]] bool suits_narrow_gemm(std::int64_t m, std::int64_t k);

/// c = a bᵀ, on the calling thread. Transposes a, the small factor, instead of b.
///   a: [m, k], b: [n, k], c: [m, n], of sizes that suit
void narrow_gemm(Matrix<const float> a, Matrix<const float> b, Matrix<float> c);

}  // namespace troupe::ops
