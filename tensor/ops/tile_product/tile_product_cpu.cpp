#include "tensor/ops/tile_product/tile_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/ops/tile_product/tile_product_cpu.cpp"
#include <hwy/foreach_target.h>

#include "tensor/ops/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {
namespace {

// Vectors of sums that stay in registers beside the factors: of 32 registers, else of 16.
constexpr int kSums = hn::MaxLanes(Floats()) >= 16 ? 24 : 12;
constexpr int kMaxVectors = hn::MaxLanes(Floats()) >= 16 ? 4 : 2;
constexpr int block_rows(int vectors) { return kSums / vectors < 12 ? kSums / vectors : 12; }

// The loops over registers must be unrolled, or the sums live in memory.
template <int kRows, int kVectors, class D>
HWY_INLINE void product_block(D d, Start start, const TileFactors& factors, const float* column_scale,
                              float* HWY_RESTRICT c, std::int64_t c_stride) {
  using V = hn::VFromD<D>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = start == Start::kZero ? hn::Zero(d) : hn::LoadU(d, c + r * c_stride + v * lanes);
      if (start == Start::kScaledSum)
        sums[r][v] = hn::Mul(sums[r][v], hn::LoadU(d, column_scale + v * lanes));
    }
  }
  const float* HWY_RESTRICT a = factors.a;
  const float* HWY_RESTRICT b = factors.b;
  for (std::int64_t p = 0; p < factors.inner; ++p) {
    V right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * factors.a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(left, right[v], sums[r][v]);
    }
    a += factors.a_column;
    b += factors.b_stride;
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], d, c + r * c_stride + v * lanes);
  }
}

// All rows of kVectors vectors of columns.
template <int kVectors, class D>
void product_columns(D d, Start start, TileFactors factors, const float* column_scale, std::int64_t rows,
                     float* c, std::int64_t c_stride) {
  constexpr int kRows = block_rows(kVectors);
  const auto advance = [&](std::int64_t done) HWY_ATTR {
    rows -= done;
    factors.a += done * factors.a_row;
    c += done * c_stride;
  };
  for (; rows >= kRows; advance(kRows))
    product_block<kRows, kVectors>(d, start, factors, column_scale, c, c_stride);
  for (; rows >= 4; advance(4)) product_block<4, kVectors>(d, start, factors, column_scale, c, c_stride);
  for (; rows > 0; advance(1)) product_block<1, kVectors>(d, start, factors, column_scale, c, c_stride);
}

void product_of_tiles(Start start, TileFactors factors, const float* column_scale, std::int64_t rows,
                      std::int64_t columns, float* c, std::int64_t c_stride) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto advance = [&](std::int64_t done) HWY_ATTR {
    columns -= done;
    factors.b += done;
    column_scale += start == Start::kScaledSum ? done : 0;
    c += done;
  };
  for (; columns >= kMaxVectors * lanes; advance(kMaxVectors * lanes)) {
    product_columns<kMaxVectors>(d, start, factors, column_scale, rows, c, c_stride);
  }
  if constexpr (kMaxVectors > 2) {
    if (columns >= 3 * lanes) {
      product_columns<3>(d, start, factors, column_scale, rows, c, c_stride);
      advance(3 * lanes);
    }
    if (columns >= 2 * lanes) {
      product_columns<2>(d, start, factors, column_scale, rows, c, c_stride);
      advance(2 * lanes);
    }
  }
  for (; columns >= lanes; advance(lanes))
    product_columns<1>(d, start, factors, column_scale, rows, c, c_stride);
  for (; columns > 0; advance(1))
    product_columns<1>(OneFloat(), start, factors, column_scale, rows, c, c_stride);
}

// target(j, i) = factor * source(i, j) for whole fours of rows and columns.
void transpose_fours(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
                     float factor, float* target, std::int64_t target_stride) {
#if HWY_TARGET != HWY_SCALAR
  const hn::Full128<float> d;
  const auto scale = hn::Set(d, factor);
  for (std::int64_t i = 0; i < rows; i += 4) {
    for (std::int64_t j = 0; j < columns; j += 4) {
      const float* from = source + i * source_stride + j;
      const auto row0 = hn::Mul(scale, hn::LoadU(d, from));
      const auto row1 = hn::Mul(scale, hn::LoadU(d, from + source_stride));
      const auto row2 = hn::Mul(scale, hn::LoadU(d, from + 2 * source_stride));
      const auto row3 = hn::Mul(scale, hn::LoadU(d, from + 3 * source_stride));
      const auto even_low = hn::InterleaveLower(d, row0, row2);
      const auto odd_low = hn::InterleaveLower(d, row1, row3);
      const auto even_high = hn::InterleaveUpper(d, row0, row2);
      const auto odd_high = hn::InterleaveUpper(d, row1, row3);
      float* to = target + j * target_stride + i;
      hn::StoreU(hn::InterleaveLower(d, even_low, odd_low), d, to);
      hn::StoreU(hn::InterleaveUpper(d, even_low, odd_low), d, to + target_stride);
      hn::StoreU(hn::InterleaveLower(d, even_high, odd_high), d, to + 2 * target_stride);
      hn::StoreU(hn::InterleaveUpper(d, even_high, odd_high), d, to + 3 * target_stride);
    }
  }
#else
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j)
      target[j * target_stride + i] = factor * source[i * source_stride + j];
  }
#endif
}

void transpose_tile_rows(const float* source, std::int64_t source_stride, std::int64_t rows,
                         std::int64_t columns, float factor, float* target, std::int64_t target_stride) {
  const std::int64_t whole_rows = rows / 4 * 4;
  const std::int64_t whole_columns = columns / 4 * 4;
  transpose_fours(source, source_stride, whole_rows, whole_columns, factor, target, target_stride);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) {
      target[j * target_stride + i] = factor * source[i * source_stride + j];
    }
  }
}

void copy_tile_rows(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
                    float factor, float* target) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for_each_vector(0, columns, [&](auto d, std::int64_t j) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, source + i * source_stride + j)), d,
                 target + i * columns + j);
    });
  }
}

}  // namespace
}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace troupe::ops {

HWY_EXPORT(product_of_tiles);
HWY_EXPORT(transpose_tile_rows);
HWY_EXPORT(copy_tile_rows);

void tile_product(Start start, const TileFactors& factors, const float* column_scale, std::int64_t rows,
                  std::int64_t columns, float* c, std::int64_t c_stride) {
  HWY_DYNAMIC_DISPATCH(product_of_tiles)(start, factors, column_scale, rows, columns, c, c_stride);
}

void transpose_tile(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
                    float factor, float* target, std::int64_t target_stride) {
  HWY_DYNAMIC_DISPATCH(transpose_tile_rows)
  (source, source_stride, rows, columns, factor, target, target_stride);
}

void copy_tile(const float* source, std::int64_t source_stride, std::int64_t rows, std::int64_t columns,
               float factor, float* target) {
  HWY_DYNAMIC_DISPATCH(copy_tile_rows)(source, source_stride, rows, columns, factor, target);
}

}  // namespace troupe::ops
#endif
