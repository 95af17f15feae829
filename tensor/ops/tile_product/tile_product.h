#pragma once
#include <cstdint>

namespace troupe::ops {

/// The factors of a small product. a(i, p) = a[i * a_row + p * a_column], so a transposed factor
/// needs no copy; rows of b are contiguous.
struct TileFactors {
  const float* a;
  std::int64_t a_row;
  std::int64_t a_column;
  const float* b;
  std::int64_t b_stride;
  std::int64_t inner;
};

/// What a product is added to.
enum class Start : std::uint8_t {
  kZero,
  kSum,        // c
  kScaledSum,  // column j of c times column_scale[j]
};

/// c = start + a b, on the calling thread, for factors that are in the cache. Every element adds its
/// terms one by one in order of the inner index, whatever the sizes and the instruction set; without
/// fused multiply-add the bits differ.
///   c: [rows, columns]; column_scale: [columns], read for kScaledSum only
void tile_product(Start start, const TileFactors& factors, const float* column_scale, std::int64_t rows,
                  std::int64_t columns, float* c, std::int64_t c_stride);

/// target(j, i) = factor * source(i, j) for i < rows, j < columns.
void transpose_tile(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
                    float factor, float* target, std::int64_t target_stride);

/// target(i, j) = factor * source(i, j), rows of target without gaps.
void copy_tile(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
               float factor, float* target);

}  // namespace troupe::ops
