#pragma once
#include <cstdint>

#include "tensor/ops/matrix.h"

namespace troupe::ops {

/// Whether c = a bᵀ of this size is faster here than in the library, which copies b for every
/// call: with few rows of a and a long k that costs as much as the product. Measured with 16 to 256 rows
/// and k from 128 to 1024: at k = 512 1.7 times the library's rate with 16 rows, 1.3 with 64, 1.0 with 192.
[[nodiscard]] bool suits_narrow_gemm(std::int64_t m, std::int64_t k);

/// c = a bᵀ, on the calling thread. Transposes a, the small factor, instead of b.
///   a: [m, k], b: [n, k], c: [m, n], of sizes that suit
void narrow_gemm(Matrix<const float> a, Matrix<const float> b, Matrix<float> c);

}  // namespace troupe::ops
