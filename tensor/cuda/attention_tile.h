#pragma once
#include "tensor/cuda/attention.h"
#include "tensor/cuda/kernel.h"

/// What the attention kernels share: tiles of rows of one head in shared memory, and the two products of
/// tiles. A block is 16×16 threads; thread (y, x) has the rows y * kOwn + i of a product, i < kOwn, and of
/// a square of scores the columns x + 16 j, j < kOwn.
namespace troupe::cuda {

inline constexpr int kAttentionThreads = 256;
inline constexpr int kSide = 16;
inline constexpr float kMinusInfinity = -__builtin_huge_valf();

/// kDim: 64, 128 or 256, head_dim or more: what lies beyond is zero and adds nothing.
template <int kDim>
struct AttentionTile {
  static constexpr int kRows = kDim <= 128 ? 64 : 32;  // four tiles fit the shared memory of an sm_80
  static constexpr int kOwn = kRows / kSide;
  static constexpr int kOwnColumns = kDim / kSide;  // of a [rows, kDim] product: x * 4 + 64 g + e, e < 4

  /// Rows 16 bytes longer than their content: neighbours start in other banks.
  struct Rows {
    float values[kRows][kDim + 4];
  };
  struct Square {
    float values[kRows][kRows + 4];
  };
  using Scores = float[kOwn][kOwn];
  using Sums = float[kOwn][kOwnColumns];
};

__device__ __forceinline__ int thread_y() { return static_cast<int>(threadIdx.x) / kSide; }
__device__ __forceinline__ int thread_x() { return static_cast<int>(threadIdx.x) % kSide; }

/// target = `count` rows of `head_dim` numbers, the first at `source`; zero beyond.
template <int kDim>
__device__ __forceinline__ void load_rows(typename AttentionTile<kDim>::Rows& target, const float* source,
                                          std::int64_t stride, int count, int head_dim) {
  constexpr int kElements = AttentionTile<kDim>::kRows * kDim;
  for (int i = static_cast<int>(threadIdx.x); i < kElements; i += kAttentionThreads) {
    const int row = i / kDim;
    const int column = i % kDim;
    target.values[row][column] = row < count && column < head_dim ? source[row * stride + column] : 0.0F;
  }
}

/// scores(i, j) = <a row i, b row j>, channels in order.
template <int kDim>
__device__ __forceinline__ void multiply_rows(const typename AttentionTile<kDim>::Rows& a,
                                              const typename AttentionTile<kDim>::Rows& b,
                                              typename AttentionTile<kDim>::Scores& scores) {
  constexpr int kOwn = AttentionTile<kDim>::kOwn;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kOwn; ++j) scores[i][j] = 0.0F;
  }
#pragma unroll 4
  for (int channel = 0; channel < kDim; channel += 4) {
    float4 left[kOwn];
    float4 right[kOwn];
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      left[i] = *reinterpret_cast<const float4*>(&a.values[thread_y() * kOwn + i][channel]);
      right[i] = *reinterpret_cast<const float4*>(&b.values[thread_x() + kSide * i][channel]);
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
#pragma unroll
      for (int j = 0; j < kOwn; ++j) {
        float sum = scores[i][j];
        sum = fmaf(left[i].x, right[j].x, sum);
        sum = fmaf(left[i].y, right[j].y, sum);
        sum = fmaf(left[i].z, right[j].z, sum);
        scores[i][j] = fmaf(left[i].w, right[j].w, sum);
      }
    }
  }
}

/// Puts this thread's scores into the square.
template <int kDim>
__device__ __forceinline__ void store_scores(const typename AttentionTile<kDim>::Scores& scores,
                                             typename AttentionTile<kDim>::Square& square) {
  constexpr int kOwn = AttentionTile<kDim>::kOwn;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kOwn; ++j) {
      square.values[thread_y() * kOwn + i][thread_x() + kSide * j] = scores[i][j];
    }
  }
}

/// sums += square · rows, in order of the inner index.
template <int kDim>
__device__ __forceinline__ void add_products(const typename AttentionTile<kDim>::Square& square,
                                             const typename AttentionTile<kDim>::Rows& rows,
                                             typename AttentionTile<kDim>::Sums& sums) {
  using Tile = AttentionTile<kDim>;
#pragma unroll 2
  for (int inner = 0; inner < Tile::kRows; inner += 4) {
    float left[Tile::kOwn][4];
#pragma unroll
    for (int i = 0; i < Tile::kOwn; ++i) {
      const auto four = *reinterpret_cast<const float4*>(&square.values[thread_y() * Tile::kOwn + i][inner]);
      left[i][0] = four.x;
      left[i][1] = four.y;
      left[i][2] = four.z;
      left[i][3] = four.w;
    }
#pragma unroll
    for (int step = 0; step < 4; ++step) {
#pragma unroll
      for (int group = 0; group < Tile::kOwnColumns / 4; ++group) {
        const auto right =
            *reinterpret_cast<const float4*>(&rows.values[inner + step][thread_x() * 4 + 64 * group]);
#pragma unroll
        for (int i = 0; i < Tile::kOwn; ++i) {
          sums[i][group * 4 + 0] = fmaf(left[i][step], right.x, sums[i][group * 4 + 0]);
          sums[i][group * 4 + 1] = fmaf(left[i][step], right.y, sums[i][group * 4 + 1]);
          sums[i][group * 4 + 2] = fmaf(left[i][step], right.z, sums[i][group * 4 + 2]);
          sums[i][group * 4 + 3] = fmaf(left[i][step], right.w, sums[i][group * 4 + 3]);
        }
      }
    }
  }
}

template <int kDim>
__device__ __forceinline__ void clear_sums(typename AttentionTile<kDim>::Sums& sums) {
#pragma unroll
  for (int i = 0; i < AttentionTile<kDim>::kOwn; ++i) {
#pragma unroll
    for (int c = 0; c < AttentionTile<kDim>::kOwnColumns; ++c) sums[i][c] = 0.0F;
  }
}

/// Writes `count` rows of `head_dim` numbers, the first at `target`.
template <int kDim>
__device__ __forceinline__ void store_rows(const typename AttentionTile<kDim>::Sums& sums, float* target,
                                           std::int64_t stride, int count, int head_dim) {
  using Tile = AttentionTile<kDim>;
#pragma unroll
  for (int i = 0; i < Tile::kOwn; ++i) {
    const int row = thread_y() * Tile::kOwn + i;
#pragma unroll
    for (int c = 0; c < Tile::kOwnColumns; ++c) {
      const int column = thread_x() * 4 + c / 4 * 64 + c % 4;
      if (row < count && column < head_dim) target[row * stride + column] = sums[i][c];
    }
  }
}

/// Over the 16 threads that share a row: pairs at distance 8, 4, 2, 1.
__device__ __forceinline__ float row_sum(float value) {
  for (int distance = kSide / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}
__device__ __forceinline__ float row_max(float value) {
  for (int distance = kSide / 2; distance > 0; distance /= 2) {
    value = larger(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

/// 1/√head_dim
__device__ __forceinline__ float scale_of(const AttentionSizes& sizes) {
  return 1.0F / sqrtf(static_cast<float>(sizes.head_dim));
}

/// Queries of one tile: their places, and what each of them sees.
template <int kDim>
struct QueryRows {
  static constexpr int kRows = AttentionTile<kDim>::kRows;
  std::int32_t first_visible[kRows];
  float log_sum_exp[kRows];  // backward only
  float delta[kRows];
};

/// Whether query row `row` of the tile at `begin` with `count` queries sees the key at `position`.
template <int kDim>
__device__ __forceinline__ bool sees(const QueryRows<kDim>& queries, int begin, int count, int row,
                                     int position) {
  return row < count && queries.first_visible[row] <= position && position <= begin + row;
}

/// Of the tile at `begin`; the statistics are read when given.
template <int kDim>
__device__ __forceinline__ void load_queries(QueryRows<kDim>& queries, const std::int32_t* first_visible,
                                             const float* log_sum_exp, const float* delta, int begin,
                                             int count) {
  for (int row = static_cast<int>(threadIdx.x); row < QueryRows<kDim>::kRows; row += kAttentionThreads) {
    const bool inside = row < count;
    queries.first_visible[row] = inside ? first_visible[begin + row] : 0;
    if (log_sum_exp == nullptr) continue;
    queries.log_sum_exp[row] = inside ? log_sum_exp[begin + row] : 0.0F;
    queries.delta[row] = inside ? delta[begin + row] : 0.0F;
  }
}

/// Calls launch_for.template operator()<kDim>() with the smallest tile width that holds head_dim.
template <class LaunchFor>
void with_head_dim(std::int64_t head_dim, const LaunchFor& launch_for) {
  if (head_dim <= 64) {
    launch_for.template operator()<64>();
  } else if (head_dim <= 128) {
    launch_for.template operator()<128>();
  } else {
    launch_for.template operator()<256>();
  }
}

}  // namespace troupe::cuda
