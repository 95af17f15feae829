#include "tensor/cuda/bias.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A thread per element.
__global__ void __launch_bounds__(kRowThreads) add_kernel(const float* bias, Matrix<float> y) {
  const std::int64_t index = global_thread();
  if (index < y.rows * y.columns) y.row(index / y.columns)[index % y.columns] += bias[index % y.columns];
}

/// partial[chunk][j] = Σ over the chunk's rows, in order. Block (columns, chunk), a thread per column.
__global__ void __launch_bounds__(kRowThreads) gradient_kernel(Matrix<const float> dy, float* partial) {
  const std::int64_t column = global_thread();
  if (column >= dy.columns) return;
  const std::int64_t begin = blockIdx.y * kRowsOfChunk;
  const std::int64_t end = smaller(dy.rows, begin + kRowsOfChunk);
  float sum = 0.0F;
  for (std::int64_t row = begin; row < end; ++row) sum += dy.row(row)[column];
  partial[blockIdx.y * dy.columns + column] = sum;
}

}  // namespace

void add_bias(Stream stream, const float* bias, Matrix<float> y) {
  launch(stream, grid_of_threads(y.rows * y.columns), kRowThreads, 0, "add_bias", add_kernel, bias, y);
}

std::int64_t bias_chunks(std::int64_t rows) { return pieces_of(rows, kRowsOfChunk); }

void bias_gradient(Stream stream, Matrix<const float> dy, bool accumulate, float* dbias, float* partial) {
  launch(stream, grid_of(pieces_of(dy.columns, kRowThreads), bias_chunks(dy.rows)), kRowThreads, 0,
         "bias_gradient", gradient_kernel, dy, partial);
  add_chunks(stream, partial, bias_chunks(dy.rows), dy.columns, accumulate, dbias);
}

}  // namespace troupe::cuda
