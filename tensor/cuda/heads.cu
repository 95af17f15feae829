#include "tensor/cuda/heads.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A thread per copied element.
__global__ void __launch_bounds__(kRowThreads)
    copy_kernel(std::int64_t heads, std::int64_t width, Matrix<const float> x, HeadChannels from,
                Matrix<float> out, HeadChannels to) {
  const std::int64_t index = global_thread();
  if (index >= out.rows * heads * width) return;
  const std::int64_t token = index / (heads * width);
  const std::int64_t head = index / width % heads;
  const std::int64_t channel = index % width;
  out.row(token)[head * to.dim + to.first + channel] = x.row(token)[head * from.dim + from.first + channel];
}

/// A thread per element of out.
__global__ void __launch_bounds__(kRowThreads)
    sum_kernel(std::int64_t heads, Matrix<const float> x, HeadChannels from, Matrix<float> out) {
  const std::int64_t index = global_thread();
  if (index >= out.rows * out.columns) return;
  const std::int64_t channel = index % out.columns;
  const float* row = x.row(index / out.columns) + from.first + channel;
  float sum = 0.0F;
  for (std::int64_t head = 0; head < heads; ++head) sum += row[head * from.dim];
  out.row(index / out.columns)[channel] = sum;
}

}  // namespace

void copy_heads(Stream stream, std::int64_t heads, std::int64_t width, Matrix<const float> x,
                HeadChannels from, Matrix<float> out, HeadChannels to) {
  launch(stream, grid_of_threads(out.rows * heads * width), kRowThreads, 0, "copy_heads", copy_kernel, heads,
         width, x, from, out, to);
}

void sum_heads(Stream stream, std::int64_t heads, Matrix<const float> x, HeadChannels from,
               Matrix<float> out) {
  launch(stream, grid_of_threads(out.rows * out.columns), kRowThreads, 0, "sum_heads", sum_kernel, heads, x,
         from, out);
}

}  // namespace troupe::cuda
