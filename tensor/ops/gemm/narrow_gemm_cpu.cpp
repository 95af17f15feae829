#include "tensor/ops/gemm/narrow_gemm.h"

#include <algorithm>

#include "tensor/ops/tile_product/tile_product.h"

namespace troupe::ops {
namespace {

constexpr std::int64_t kFewestRows = 12;
constexpr std::int64_t kMostRows = 256;
constexpr std::int64_t kMaxInner = 1024;   // bounds the transposed rows on the stack
constexpr std::int64_t kTileRows = 32;     // of a
constexpr std::int64_t kTileColumns = 96;  // rows of b that stay in the cache beside a
constexpr std::int64_t kPadding = 16;      // floats of the widest vector

}  // namespace

bool suits_narrow_gemm(std::int64_t m, std::int64_t k) {
  const bool library_copies_more = 4096 * m <= 3 * k * k;  // its copy of b against the product; measured
  return m >= kFewestRows && m <= kMostRows && k <= kMaxInner && library_copies_more;
}

void narrow_gemm(Matrix<const float> a, Matrix<const float> b, Matrix<float> c) {
  alignas(64) float transposed_a[kMaxInner * kTileRows];     // [k, rows]
  alignas(64) float transposed_c[kTileColumns * kTileRows];  // [columns, rows]
  for (std::int64_t row = 0; row < a.rows; row += kTileRows) {
    const std::int64_t rows = std::min(kTileRows, a.rows - row);
    const std::int64_t padded = (rows + kPadding - 1) / kPadding * kPadding;
    if (padded != rows) std::fill_n(transposed_a, a.columns * padded, 0.0F);
    transpose_tile(a.row(row), a.stride, rows, a.columns, 1.0F, transposed_a, padded);
    for (std::int64_t column = 0; column < b.rows; column += kTileColumns) {
      const std::int64_t columns = std::min(kTileColumns, b.rows - column);
      tile_product(Start::kZero, {b.row(column), b.stride, 1, transposed_a, padded, a.columns}, nullptr,
                   columns, padded, transposed_c, padded);
      transpose_tile(transposed_c, padded, columns, rows, 1.0F, c.row(row) + column, c.stride);
    }
  }
}

}  // namespace troupe::ops
