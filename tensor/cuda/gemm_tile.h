#pragma once
#include "tensor/cuda/four.h"
#include "tensor/cuda/gemm.h"
#include "tensor/cuda/kernel.h"

/// One 128×128 tile of a product, by a block of 256 threads with 8×8 sums each. There is this one
/// configuration, for every size: every sum adds its terms one by one in order of the inner index, by fmaf,
/// so its bits depend on its row, its column and the inner size only.
namespace troupe::cuda {

inline constexpr int kTile = 128;
inline constexpr int kTileInner = 16;
inline constexpr int kGemmThreads = 256;
inline constexpr int kSums = 8;     // rows, and columns, of a thread
inline constexpr int kPadding = 4;  // floats: rows of different inner index start in different banks

/// What is in shared memory: two steps of both factors, inner index first.
struct GemmTile {
  float a[2][kTileInner][kTile + kPadding];
  float b[2][kTileInner][kTile + kPadding];
};

/// One factor. Element (outer, inner) is data[outer * stride + inner] when kInnerFirst, else
/// data[inner * stride + outer].
struct Factor {
  const float* data;
  std::int64_t stride;
  int outer_size;
  int inner_size;
};

/// A thread's share of one step of a factor: two groups of four.
struct Staged {
  float values[2][4];
};

/// Where group `group` of this thread lies in the tile: its first (outer, inner).
template <bool kInnerFirst>
__device__ __forceinline__ void place_of(int group, int& outer, int& inner) {
  const int thread = static_cast<int>(threadIdx.x);
  if (kInnerFirst) {
    outer = thread / 4 + 64 * group;
    inner = thread % 4 * 4;
  } else {
    outer = thread % 32 * 4;
    inner = thread / 32 + 8 * group;
  }
}

/// Reads this thread's share; what lies outside is zero.
template <bool kInnerFirst>
__device__ __forceinline__ Staged load_step(const Factor& factor, bool by_four, int first_outer,
                                            int first_inner) {
  Staged staged;
#pragma unroll
  for (int group = 0; group < 2; ++group) {
    int in_tile_outer = 0;
    int in_tile_inner = 0;
    place_of<kInnerFirst>(group, in_tile_outer, in_tile_inner);
    const int outer = first_outer + in_tile_outer;
    const int inner = first_inner + in_tile_inner;
    const int last_outer = kInnerFirst ? outer : outer + 3;
    const int last_inner = kInnerFirst ? inner + 3 : inner;
    const float* source =
        factor.data + (kInnerFirst ? outer : inner) * factor.stride + (kInnerFirst ? inner : outer);
    if (by_four && last_outer < factor.outer_size && last_inner < factor.inner_size) {
      const float4 four = *reinterpret_cast<const float4*>(source);
      staged.values[group][0] = four.x;
      staged.values[group][1] = four.y;
      staged.values[group][2] = four.z;
      staged.values[group][3] = four.w;
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const bool inside = kInnerFirst ? outer < factor.outer_size && inner + i < factor.inner_size
                                        : outer + i < factor.outer_size && inner < factor.inner_size;
        staged.values[group][i] = inside ? source[i] : 0.0F;
      }
    }
  }
  return staged;
}

template <bool kInnerFirst>
__device__ __forceinline__ void store_step(const Staged& staged, float (*step)[kTile + kPadding]) {
#pragma unroll
  for (int group = 0; group < 2; ++group) {
    int outer = 0;
    int inner = 0;
    place_of<kInnerFirst>(group, outer, inner);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (kInnerFirst) {
        step[inner + i][outer] = staged.values[group][i];
      } else {
        step[inner][outer + i] = staged.values[group][i];
      }
    }
  }
}

/// Row (of a) or column (of b) of this thread's sum i, inside the tile: two groups of four.
__device__ __forceinline__ int place_of_sum(int thread, int i) { return thread * 4 + i % 4 + i / 4 * 64; }

__device__ __forceinline__ void load_fragment(const float* row, int thread, float (&fragment)[kSums]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float4 four = *reinterpret_cast<const float4*>(row + thread * 4 + half * 64);
    fragment[half * 4 + 0] = four.x;
    fragment[half * 4 + 1] = four.y;
    fragment[half * 4 + 2] = four.z;
    fragment[half * 4 + 3] = four.w;
  }
}

__device__ __forceinline__ void add_step(const float (*a)[kTile + kPadding],
                                         const float (*b)[kTile + kPadding], float (&sums)[kSums][kSums]) {
  const int row_thread = static_cast<int>(threadIdx.x) / 16;
  const int column_thread = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int inner = 0; inner < kTileInner; ++inner) {
    float left[kSums];
    float right[kSums];
    load_fragment(a[inner], row_thread, left);
    load_fragment(b[inner], column_thread, right);
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
#pragma unroll
      for (int j = 0; j < kSums; ++j) sums[i][j] = fmaf(left[i], right[j], sums[i][j]);
    }
  }
}

/// sums = the tile of a·b that starts at (first_row, first_column); all threads of the block call it.
template <bool kAInnerFirst, bool kBInnerFirst>
__device__ __forceinline__ void multiply_tile(GemmTile& shared, const Factor& a, const Factor& b,
                                              int first_row, int first_column, float (&sums)[kSums][kSums]) {
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
#pragma unroll
    for (int j = 0; j < kSums; ++j) sums[i][j] = 0.0F;
  }
  const bool a_by_four = lies_by_four(a.data, a.stride);
  const bool b_by_four = lies_by_four(b.data, b.stride);
  const int steps = (a.inner_size + kTileInner - 1) / kTileInner;
  for (int step = 0; step <= steps; ++step) {  // loads step, multiplies step - 1
    Staged next_a;
    Staged next_b;
    if (step < steps) {
      next_a = load_step<kAInnerFirst>(a, a_by_four, first_row, step * kTileInner);
      next_b = load_step<kBInnerFirst>(b, b_by_four, first_column, step * kTileInner);
    }
    if (step > 0) add_step(shared.a[(step - 1) % 2], shared.b[(step - 1) % 2], sums);
    if (step < steps) {
      store_step<kAInnerFirst>(next_a, shared.a[step % 2]);
      store_step<kBInnerFirst>(next_b, shared.b[step % 2]);
    }
    __syncthreads();
  }
}

/// c = sums or c += sums, where the tile covers it.
__device__ __forceinline__ void store_tile(const Matrix<float>& c, int first_row, int first_column,
                                           bool accumulate, const float (&sums)[kSums][kSums]) {
  const int row_thread = static_cast<int>(threadIdx.x) / 16;
  const int column_thread = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
    const int row = first_row + place_of_sum(row_thread, i);
#pragma unroll
    for (int j = 0; j < kSums; ++j) {
      const int column = first_column + place_of_sum(column_thread, j);
      if (row >= c.rows || column >= c.columns) continue;
      float& target = c.row(row)[column];
      target = accumulate ? target + sums[i][j] : sums[i][j];
    }
  }
}

}  // namespace troupe::cuda
