#pragma once
#include "tensor/cuda/attention.h"
#include "tensor/cuda/four.h"
#include "tensor/cuda/kernel.h"

/// What the attention kernels share: tiles of rows of one head in shared memory, and the two products of
/// tiles. A block is 8×16 threads; thread (y, x) has the rows y + 8 i of a product, i < kOwn, and of scores
/// the columns x + 16 j. A warp has two y, so a row of scores belongs to 16 lanes of one warp.
namespace troupe::cuda {

inline constexpr int kAttentionThreads = 128;
inline constexpr int kSide = 16;  // threads along a row of scores
inline constexpr int kDown = kAttentionThreads / kSide;
inline constexpr float kMinusInfinity = -__builtin_huge_valf();

/// kDim: 64, 128 or 256, head_dim or more: what lies beyond is zero and adds nothing.
template <int kDim>
struct AttentionTile {
  static constexpr int kRows = kDim <= 128 ? 64 : 32;
  static constexpr int kOwn = kRows / kDown;
  static constexpr int kOwnColumns = kDim / kSide;  // of a [rows, kDim] product: x * 4 + 64 g + e, e < 4

  /// Rows 16 bytes longer than their content: neighbours start in other banks.
  template <int kCount>
  struct Rows {
    float values[kCount][kDim + 4];
  };
  /// Sixteen columns of scores, column first, on their way from the threads that made them to those that
  /// multiply them: row y + 8 i is at y * kOwn + i.
  struct Exchange {
    float values[kSide][kRows + 4];
  };
  template <int kColumns>
  using Scores = float[kOwn][kColumns / kSide];
  using Sums = float[kOwn][kOwnColumns];
};

__device__ __forceinline__ int thread_y() { return static_cast<int>(threadIdx.x) / kSide; }
__device__ __forceinline__ int thread_x() { return static_cast<int>(threadIdx.x) % kSide; }
/// Row of this thread's scores or sums i.
__device__ __forceinline__ int own_row(int i) { return thread_y() + kDown * i; }

/// Rows of one head in device memory.
struct HeadRows {
  const float* data;
  std::int64_t stride;
  int count;
  int head_dim;
};

/// target = the rows, zero beyond. Loads are made in batches, so that they wait for memory together.
template <int kDim, int kCount>
__device__ __forceinline__ void load_rows(typename AttentionTile<kDim>::template Rows<kCount>& target,
                                          const HeadRows& rows) {
  constexpr int kFours = kDim / 4;
  constexpr int kBatch = 4;
  constexpr int kStep = kAttentionThreads * kBatch;
  static_assert(kCount * kFours % kStep == 0);
  const bool by_four = lies_by_four(rows.data, rows.stride);
  for (int begin = static_cast<int>(threadIdx.x); begin < kCount * kFours; begin += kStep) {
    float4 batch[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int place = begin + i * kAttentionThreads;
      const int row = place / kFours;
      const int column = place % kFours * 4;
      const int left = row < rows.count ? rows.head_dim - column : 0;
      batch[i] = load_four(rows.data + row * rows.stride + column, left, by_four);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int place = begin + i * kAttentionThreads;
      *reinterpret_cast<float4*>(&target.values[place / kFours][place % kFours * 4]) = batch[i];
    }
  }
}

/// scores(i, j) = <a row i, b row j>, channels in order.
template <int kDim, int kColumns>
__device__ __forceinline__ void multiply_rows(
    const typename AttentionTile<kDim>::template Rows<AttentionTile<kDim>::kRows>& a,
    const typename AttentionTile<kDim>::template Rows<kColumns>& b,
    typename AttentionTile<kDim>::template Scores<kColumns>& scores) {
  constexpr int kOwn = AttentionTile<kDim>::kOwn;
  constexpr int kAcross = kColumns / kSide;
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kAcross; ++j) scores[i][j] = 0.0F;
  }
#pragma unroll 1
  for (int channel = 0; channel < kDim; channel += 4) {
    float4 right[kAcross];
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
      right[j] = *reinterpret_cast<const float4*>(&b.values[thread_x() + kSide * j][channel]);
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const auto left = *reinterpret_cast<const float4*>(&a.values[own_row(i)][channel]);
#pragma unroll
      for (int j = 0; j < kAcross; ++j) {
        float sum = scores[i][j];
        sum = fmaf(left.x, right[j].x, sum);
        sum = fmaf(left.y, right[j].y, sum);
        sum = fmaf(left.z, right[j].z, sum);
        scores[i][j] = fmaf(left.w, right[j].w, sum);
      }
    }
  }
}

/// sums += exchange · rows from `first` on, in order of the inner index.
template <int kDim, int kCount>
__device__ __forceinline__ void add_exchanged(const typename AttentionTile<kDim>::Exchange& exchange,
                                              const typename AttentionTile<kDim>::template Rows<kCount>& rows,
                                              int first, typename AttentionTile<kDim>::Sums& sums) {
  using Tile = AttentionTile<kDim>;
#pragma unroll 4
  for (int inner = 0; inner < kSide; ++inner) {
    float left[Tile::kOwn];
#pragma unroll
    for (int i = 0; i < Tile::kOwn; i += 4) {
      const auto four =
          *reinterpret_cast<const float4*>(&exchange.values[inner][thread_y() * Tile::kOwn + i]);
      left[i + 0] = four.x;
      left[i + 1] = four.y;
      left[i + 2] = four.z;
      left[i + 3] = four.w;
    }
#pragma unroll
    for (int group = 0; group < Tile::kOwnColumns / 4; ++group) {
      const auto right =
          *reinterpret_cast<const float4*>(&rows.values[first + inner][thread_x() * 4 + 64 * group]);
#pragma unroll
      for (int i = 0; i < Tile::kOwn; ++i) {
        sums[i][group * 4 + 0] = fmaf(left[i], right.x, sums[i][group * 4 + 0]);
        sums[i][group * 4 + 1] = fmaf(left[i], right.y, sums[i][group * 4 + 1]);
        sums[i][group * 4 + 2] = fmaf(left[i], right.z, sums[i][group * 4 + 2]);
        sums[i][group * 4 + 3] = fmaf(left[i], right.w, sums[i][group * 4 + 3]);
      }
    }
  }
}

/// sums += scores · rows, in order of the inner index. A thread's rows are made by its own half of the warp:
/// no barrier of the block is needed.
template <int kDim, int kColumns>
__device__ __forceinline__ void add_products(
    const typename AttentionTile<kDim>::template Scores<kColumns>& scores,
    const typename AttentionTile<kDim>::template Rows<kColumns>& rows,
    typename AttentionTile<kDim>::Exchange& exchange, typename AttentionTile<kDim>::Sums& sums) {
  constexpr int kOwn = AttentionTile<kDim>::kOwn;
#pragma unroll
  for (int j = 0; j < kColumns / kSide; ++j) {
    __syncwarp();  // the last columns were read
#pragma unroll
    for (int i = 0; i < kOwn; i += 4) {
      *reinterpret_cast<float4*>(&exchange.values[thread_x()][thread_y() * kOwn + i]) =
          make_float4(scores[i][j], scores[i + 1][j], scores[i + 2][j], scores[i + 3][j]);
    }
    __syncwarp();
    add_exchanged<kDim, kColumns>(exchange, rows, kSide * j, sums);
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
    const int row = own_row(i);
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

/// Queries of one tile: their places, and what each of them sees.
template <int kRows>
struct QueryRows {
  std::int32_t first_visible[kRows];
  float log_sum_exp[kRows];  // backward only
  float delta[kRows];
};

/// Whether query row `row` of the tile at `begin` with `count` queries sees the key at `position`.
template <int kRows>
__device__ __forceinline__ bool sees(const QueryRows<kRows>& queries, int begin, int count, int row,
                                     int position) {
  return row < count && queries.first_visible[row] <= position && position <= begin + row;
}

/// Of the tile at `begin`; the statistics are read when given.
template <int kRows>
__device__ __forceinline__ void load_queries(QueryRows<kRows>& queries, const std::int32_t* first_visible,
                                             const float* log_sum_exp, const float* delta, int begin,
                                             int count) {
  for (int row = static_cast<int>(threadIdx.x); row < kRows; row += kAttentionThreads) {
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
  check_limit("head_dim", head_dim, kMostHeadDim);
  if (head_dim <= 64) {
    launch_for.template operator()<64>();
  } else if (head_dim <= 128) {
    launch_for.template operator()<128>();
  } else {
    launch_for.template operator()<256>();
  }
}

}  // namespace troupe::cuda
