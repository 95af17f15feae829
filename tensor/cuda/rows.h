#pragma once
#include "tensor/cuda/kernel.h"

/// How ops that treat rows one by one are spread out.
namespace troupe::cuda {

inline constexpr int kRowThreads = 256;
inline constexpr int kWarpsPerBlock = kRowThreads / kWarp;

/// Of `rows` warps.
[[nodiscard]] inline dim3 grid_of_warps(std::int64_t rows) {
  return grid_of(pieces_of(rows, kWarpsPerBlock));
}

/// Of `elements` threads.
[[nodiscard]] inline dim3 grid_of_threads(std::int64_t elements) {
  return grid_of(pieces_of(elements, kRowThreads));
}

struct SumShared {
  double values[kWarpsPerBlock];
};

/// Thread i's part is its own; then pairs in a warp, then warps in order. Returned to all threads.
__device__ __forceinline__ double block_sum(SumShared& shared, double part) {
  part = warp_sum(part);
  if (lane_of_warp() == 0) shared.values[threadIdx.x / kWarp] = part;
  __syncthreads();
  double sum = 0.0;
  for (const double value : shared.values) sum += value;
  return sum;
}

/// Sums over rows are made in chunks of this many, then chunks are added in order: part of the arithmetic.
inline constexpr std::int64_t kRowsOfChunk = 128;

/// total[j] = Σ_c partial[c][j], chunks in order, or total[j] += that sum.
///   partial: [chunks, columns]; total: [columns]
void add_chunks(Stream stream, const float* partial, std::int64_t chunks, std::int64_t columns,
                bool accumulate, float* total);

}  // namespace troupe::cuda
