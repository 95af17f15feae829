// Small products and transposes that attention is made of. Included once per instruction set.
#if defined(TROUPE_TENSOR_OPS_ATTENTION_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TROUPE_TENSOR_OPS_ATTENTION_TILES_INL_H_
#undef TROUPE_TENSOR_OPS_ATTENTION_TILES_INL_H_
#else
#define TROUPE_TENSOR_OPS_ATTENTION_TILES_INL_H_
#endif

#include <limits>

#include "tensor/ops/attention/attention_inputs.h"
#include "tensor/ops/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace troupe::ops::HWY_NAMESPACE {

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

/// What a product starts from.
enum class Start { kZero, kSum, kScaledSum };

/// c = start + a b, terms added in order of the inner index.
///   kSum: start is c; kScaledSum: column j of c times column_scale[j]
template <Start kStart, int kRows, int kVectors, class D>
HWY_INLINE void product_block(D d, const TileFactors& factors, const float* column_scale,
                              float* HWY_RESTRICT c, std::int64_t c_stride) {
  using V = hn::VFromD<D>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = kStart == Start::kZero ? hn::Zero(d) : hn::LoadU(d, c + r * c_stride + v * lanes);
      if constexpr (kStart == Start::kScaledSum) {
        sums[r][v] = hn::Mul(sums[r][v], hn::LoadU(d, column_scale + v * lanes));
      }
    }
  }
  const float* HWY_RESTRICT a = factors.a;
  const float* HWY_RESTRICT b = factors.b;
  for (std::int64_t p = 0; p < factors.inner; ++p) {
    V right[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) right[v] = hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * factors.a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::MulAdd(left, right[v], sums[r][v]);
    }
    a += factors.a_column;
    b += factors.b_stride;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], d, c + r * c_stride + v * lanes);
  }
}

/// All rows of `kVectors` vectors of columns.
template <Start kStart, int kVectors, class D>
HWY_INLINE void product_columns(D d, TileFactors factors, const float* column_scale, std::int64_t rows,
                                float* c, std::int64_t c_stride) {
  const auto advance = [&](std::int64_t done) {
    rows -= done;
    factors.a += done * factors.a_row;
    c += done * c_stride;
  };
  for (; rows >= 6; advance(6)) product_block<kStart, 6, kVectors>(d, factors, column_scale, c, c_stride);
  if (rows >= 4) {
    product_block<kStart, 4, kVectors>(d, factors, column_scale, c, c_stride);
    advance(4);
  }
  for (; rows > 0; advance(1)) product_block<kStart, 1, kVectors>(d, factors, column_scale, c, c_stride);
}

/// c: [rows, columns], see product_block. Each element's sum has the same order in every block shape.
template <Start kStart>
void tile_product(TileFactors factors, const float* column_scale, std::int64_t rows, std::int64_t columns,
                  float* c, std::int64_t c_stride) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  // Six rows of these fill, and do not exceed, the registers: 32 of 16 floats, else 16.
  constexpr int kVectors = hn::MaxLanes(Floats()) >= 16 ? 4 : 2;
  const auto advance = [&](std::int64_t done) {
    columns -= done;
    factors.b += done;
    column_scale += kStart == Start::kScaledSum ? done : 0;
    c += done;
  };
  for (; columns >= kVectors * lanes; advance(kVectors * lanes)) {
    product_columns<kStart, kVectors>(d, factors, column_scale, rows, c, c_stride);
  }
  for (; columns >= lanes; advance(lanes))
    product_columns<kStart, 1>(d, factors, column_scale, rows, c, c_stride);
  for (; columns > 0; advance(1))
    product_columns<kStart, 1>(OneFloat(), factors, column_scale, rows, c, c_stride);
}

/// target(j, i) = factor * source(i, j) for whole fours of rows and columns.
inline void transpose_fours(const float* source, std::int64_t source_stride, std::int64_t rows,
                            std::int64_t columns, float factor, float* target, std::int64_t target_stride) {
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

/// target(j, i) = factor * source(i, j) for i < rows, j < columns.
inline HWY_NOINLINE void transpose_tile(const float* source, std::int64_t source_stride, std::int64_t rows,
                                        std::int64_t columns, float factor, float* target,
                                        std::int64_t target_stride) {
  const std::int64_t whole_rows = rows / 4 * 4;
  const std::int64_t whole_columns = columns / 4 * 4;
  transpose_fours(source, source_stride, whole_rows, whole_columns, factor, target, target_stride);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j) {
      target[j * target_stride + i] = factor * source[i * source_stride + j];
    }
  }
}

/// target(i, j) = factor * source(i, j), rows of target without gaps.
inline HWY_NOINLINE void copy_tile(const float* source, std::int64_t source_stride, std::int64_t rows,
                                   std::int64_t columns, float factor, float* target) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for_each_vector(0, columns, [&](auto d, std::int64_t j) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::Set(d, factor), hn::LoadU(d, source + i * source_stride + j)), d,
                 target + i * columns + j);
    });
  }
}

/// Scores that a query may not see become minus infinity.
///   scores: [keys, kAttentionTile], keys from position `key`
inline HWY_NOINLINE void mask_scores(const QueryTile& tile, std::int64_t key, float* scores) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float first[kAttentionTile];  // positions, exact below 2^24
  float own[kAttentionTile];
  for (std::int64_t i = 0; i < kAttentionTile; ++i) {
    first[i] = static_cast<float>(tile.first_visible[i < tile.count ? i : tile.count - 1]);
    own[i] = static_cast<float>(tile.begin + i);
  }
  const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  const std::int64_t keys = tile.keys_of_tile(key);
  for (std::int64_t i = 0; i < keys; ++i) {
    const auto position = hn::Set(d, static_cast<float>(key + i));
    for (std::int64_t j = 0; j < kAttentionTile; j += lanes) {
      const auto visible =
          hn::And(hn::Le(hn::LoadU(d, first + j), position), hn::Le(position, hn::LoadU(d, own + j)));
      float* score = scores + i * kAttentionTile + j;
      hn::StoreU(hn::IfThenElse(visible, hn::LoadU(d, score), hidden), d, score);
    }
  }
}

}  // namespace troupe::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
