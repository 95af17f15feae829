#include "tensor/cuda/layer_norm.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per row.
__global__ void __launch_bounds__(kRowThreads) forward_kernel(LayerNormForward a) {
  const std::int64_t row = global_warp();
  if (row >= a.x.rows) return;
  const float* x = a.x.row(row);
  const std::int64_t width = a.x.columns;
  float sum = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) sum += x[j];
  const float mean = warp_sum(sum) / static_cast<float>(width);
  float squares = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp)
    squares = fmaf(x[j] - mean, x[j] - mean, squares);
  const float scale = 1.0F / sqrtf(warp_sum(squares) / static_cast<float>(width) + a.eps);
  if (lane_of_warp() == 0) {
    a.mean[row] = mean;
    a.inv_std[row] = scale;
  }
  float* y = a.y.row(row);
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) {
    const float scaled = (x[j] - mean) * scale * a.weight[j];
    y[j] = a.bias == nullptr ? scaled : scaled + a.bias[j];
  }
}

/// With n = (x - mean) * inv_std and g = dy * weight: dx = inv_std * (g - mean(g) - n * mean(g*n)). A warp
/// per row.
__global__ void __launch_bounds__(kRowThreads) backward_kernel(LayerNormBackward a) {
  const std::int64_t row = global_warp();
  if (row >= a.x.rows) return;
  const float* x = a.x.row(row);
  const float* dy = a.dy.row(row);
  float* dx = a.dx.row(row);
  const float mean = a.mean[row];
  const float scale = a.inv_std[row];
  const std::int64_t width = a.x.columns;
  float sum = 0.0F;
  float along = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) {
    const float gradient = dy[j] * a.weight[j];
    sum += gradient;
    along = fmaf(gradient, (x[j] - mean) * scale, along);
  }
  sum = warp_sum(sum) / static_cast<float>(width);
  along = warp_sum(along) / static_cast<float>(width);
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) {
    const float gradient = scale * (dy[j] * a.weight[j] - sum - (x[j] - mean) * scale * along);
    dx[j] = a.accumulate_dx ? dx[j] + gradient : gradient;
  }
}

/// partial[chunk][j] = Σ over the chunk's rows, in order, of dy*n. Block (columns, chunk), a thread per
/// column.
__global__ void __launch_bounds__(kRowThreads) weight_gradient_kernel(LayerNormBackward a) {
  const std::int64_t column = global_thread();
  if (column >= a.x.columns) return;
  const std::int64_t begin = blockIdx.y * kRowsOfChunk;
  const std::int64_t end = smaller(a.x.rows, begin + kRowsOfChunk);
  float sum = 0.0F;
  for (std::int64_t row = begin; row < end; ++row) {
    sum = fmaf(a.dy.row(row)[column], (a.x.row(row)[column] - a.mean[row]) * a.inv_std[row], sum);
  }
  a.partial[blockIdx.y * a.x.columns + column] = sum;
}

}  // namespace

void layer_norm_forward(Stream stream, const LayerNormForward& arguments) {
  launch(stream, grid_of_warps(arguments.x.rows), kRowThreads, 0, "layer_norm_forward", forward_kernel,
         arguments);
}

std::int64_t layer_norm_chunks(std::int64_t rows) { return pieces_of(rows, kRowsOfChunk); }

void layer_norm_backward(Stream stream, const LayerNormBackward& arguments) {
  const std::int64_t rows = arguments.x.rows;
  const std::int64_t width = arguments.x.columns;
  // Before dx, which may take the place of dy.
  launch(stream, grid_of(pieces_of(width, kRowThreads), layer_norm_chunks(rows)), kRowThreads, 0,
         "layer_norm_weight_gradient", weight_gradient_kernel, arguments);
  add_chunks(stream, arguments.partial, layer_norm_chunks(rows), width, false, arguments.dweight);
  launch(stream, grid_of_warps(rows), kRowThreads, 0, "layer_norm_backward", backward_kernel, arguments);
}

}  // namespace troupe::cuda
