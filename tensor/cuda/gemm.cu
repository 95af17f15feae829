#include "tensor/cuda/gemm.h"

#include "tensor/cuda/gemm_tile.h"
#include "tensor/cuda/kernel.h"
#include "tensor/cuda/scan.h"

namespace troupe::cuda {
namespace {

/// Sizes of a factor fit 32 bits; its elements may not.
__device__ __forceinline__ Factor factor(const float* data, std::int64_t stride, std::int64_t outer,
                                         std::int64_t inner) {
  return {data, stride, static_cast<int>(outer), static_cast<int>(inner)};
}

/// First row or column of a tile.
__device__ __forceinline__ int begin_of(std::int64_t tile) { return static_cast<int>(tile) * kTile; }

/// One block per tile of c, tiles of a column of tiles first: they share their part of b.
template <bool kTransposeA, bool kTransposeB>
__global__ void __launch_bounds__(kGemmThreads, 2)
    gemm_kernel(Matrix<const float> a, Matrix<const float> b, Matrix<float> c, bool accumulate) {
  const std::int64_t row_tiles = pieces_of(c.rows, kTile);
  const int first_row = begin_of(blockIdx.x % row_tiles);
  const int first_column = begin_of(blockIdx.x / row_tiles);
  const std::int64_t inner = kTransposeA ? a.rows : a.columns;
  float sums[kSums][kSums];
  multiply_tile<!kTransposeA, kTransposeB>(shared_memory<GemmTile>(), factor(a.data, a.stride, c.rows, inner),
                                           factor(b.data, b.stride, c.columns, inner), first_row,
                                           first_column, sums);
  store_tile(c, first_row, first_column, accumulate, sums);
}

template <bool kTransposeA, bool kTransposeB>
void launch_gemm(Stream stream, const GemmArguments& g) {
  const dim3 grid = grid_of(pieces_of(g.c.rows, kTile) * pieces_of(g.c.columns, kTile));
  launch(stream, grid, kGemmThreads, sizeof(GemmTile), "gemm", gemm_kernel<kTransposeA, kTransposeB>, g.a,
         g.b, g.c, g.accumulate);
}

/// The tile of rows that a block computes, and the segment it belongs to; segment -1: no tile is left.
struct RowTile {
  int segment;
  int tile;  // inside the segment
};

struct GroupedShared {
  GemmTile tile;
  int tiles_until[kGemmThreads];  // of this thread's segments and all before
  RowTile found;
};

__device__ __forceinline__ int tiles_of(const Segment& segment) {
  return static_cast<int>(pieces_of(segment.rows, kTile));
}

/// Finds tile `wanted` of all segments' tiles in order: thread i counts the tiles of one run of segments,
/// sums are made in shared memory, and the thread whose run holds the tile says where.
__device__ __forceinline__ RowTile find_tile(GroupedShared& shared, const Segments& segments, int wanted) {
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t run = pieces_of(segments.count, kGemmThreads);
  const std::int64_t begin = smaller(segments.count, thread * run);
  const std::int64_t end = smaller(segments.count, begin + run);
  int own = 0;
  for (std::int64_t s = begin; s < end; ++s) own += tiles_of(segments.data[s]);
  if (thread == 0) shared.found = {-1, 0};
  int tile = wanted - (sum_until(shared.tiles_until, own) - own);
  if (tile >= 0 && tile < own) {
    std::int64_t segment = begin;
    for (; tile >= tiles_of(segments.data[segment]); ++segment) tile -= tiles_of(segments.data[segment]);
    shared.found = {static_cast<int>(segment), tile};
  }
  __syncthreads();
  return shared.found;
}

template <bool kTransposeWeight>
__global__ void __launch_bounds__(kGemmThreads, 2)
    grouped_gemm_kernel(Segments segments, Matrix<const float> x, const float* weights, Matrix<float> y) {
  auto& shared = shared_memory<GroupedShared>();
  const std::int64_t column_tiles = pieces_of(y.columns, kTile);
  const RowTile found = find_tile(shared, segments, static_cast<int>(blockIdx.x / column_tiles));
  if (found.segment < 0) return;
  const Segment segment = segments.data[found.segment];
  const int first_row = begin_of(found.tile);
  const int first_column = begin_of(blockIdx.x % column_tiles);
  const float* weight = weights + segment.matrix;
  float sums[kSums][kSums];
  multiply_tile<true, kTransposeWeight>(
      shared.tile, factor(x.row(segment.first_row), x.stride, segment.rows, x.columns),
      factor(weight, kTransposeWeight ? x.columns : y.columns, y.columns, x.columns), first_row, first_column,
      sums);
  store_tile({y.row(segment.first_row), segment.rows, y.columns, y.stride}, first_row, first_column, false,
             sums);
}

/// Block (tile, segment).
__global__ void __launch_bounds__(kGemmThreads, 2)
    weight_gradient_kernel(Segments segments, Matrix<const float> dy, Matrix<const float> x,
                           float* gradients) {
  const Segment& segment = segments.data[blockIdx.y];  // read again at the end: registers are dear between
  if (segment.rows == 0) return;
  const std::int64_t row_tiles = pieces_of(dy.columns, kTile);
  const int first_row = begin_of(blockIdx.x % row_tiles);
  const int first_column = begin_of(blockIdx.x / row_tiles);
  float sums[kSums][kSums];
  multiply_tile<false, false>(
      shared_memory<GemmTile>(), factor(dy.row(segment.first_row), dy.stride, dy.columns, segment.rows),
      factor(x.row(segment.first_row), x.stride, x.columns, segment.rows), first_row, first_column, sums);
  store_tile({gradients + segment.matrix, dy.columns, x.columns, x.columns}, first_row, first_column, true,
             sums);
}

}  // namespace

void gemm(Stream stream, const GemmArguments& arguments) {
  if (arguments.transpose_a) {
    arguments.transpose_b ? launch_gemm<true, true>(stream, arguments)
                          : launch_gemm<true, false>(stream, arguments);
  } else {
    arguments.transpose_b ? launch_gemm<false, true>(stream, arguments)
                          : launch_gemm<false, false>(stream, arguments);
  }
}

void grouped_gemm(Stream stream, const Segments& segments, bool transpose_weight, Matrix<const float> x,
                  const float* weights, Matrix<float> y) {
  const std::int64_t most_tiles = pieces_of(segments.most_rows, kTile) + segments.count;
  const dim3 grid = grid_of(most_tiles * pieces_of(y.columns, kTile));
  launch(stream, grid, kGemmThreads, sizeof(GroupedShared), "grouped_gemm",
         transpose_weight ? grouped_gemm_kernel<true> : grouped_gemm_kernel<false>, segments, x, weights, y);
}

void grouped_gemm_weight_gradient(Stream stream, const Segments& segments, Matrix<const float> dy,
                                  Matrix<const float> x, float* gradients) {
  const dim3 grid = grid_of(pieces_of(dy.columns, kTile) * pieces_of(x.columns, kTile), segments.count);
  launch(stream, grid, kGemmThreads, sizeof(GemmTile), "grouped_gemm_weight_gradient", weight_gradient_kernel,
         segments, dy, x, gradients);
}

}  // namespace troupe::cuda
