#include "tensor/cuda/rms_norm.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per row.
__global__ void __launch_bounds__(kRowThreads) forward_kernel(RmsNormForward a) {
  const std::int64_t row = global_warp();
  if (row >= a.x.rows()) return;
  const float* x = a.x.row(row);
  const std::int64_t width = a.x.width;
  if (a.residual.data != nullptr) {
    const float* residual = a.residual.row(row);
    float* stored = a.stored.row(row);
    for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) stored[j] = residual[j] + x[j];
    x = stored;  // each lane reads back what it wrote
  }
  float squares = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) squares = fmaf(x[j], x[j], squares);
  squares = warp_sum(squares);
  const float scale = 1.0F / sqrtf(squares / static_cast<float>(width) + a.eps);
  if (lane_of_warp() == 0) a.inv_rms[row] = scale;
  float* y = a.y.row(row);
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) y[j] = x[j] * scale * a.weight[j];
}

/// With n = x * inv_rms: dx = inv_rms * (dy*weight - n * mean(dy*weight*n)). A warp per row.
__global__ void __launch_bounds__(kRowThreads) backward_kernel(RmsNormBackward a) {
  const std::int64_t row = global_warp();
  if (row >= a.x.rows()) return;
  const float* x = a.x.row(row);
  const float* dy = a.dy.row(row);
  float* dx = a.dx.row(row);
  const float scale = a.inv_rms[row];
  const std::int64_t width = a.x.width;
  float mean = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) {
    mean = fmaf(dy[j] * a.weight[j], x[j] * scale, mean);
  }
  mean = warp_sum(mean) / static_cast<float>(width);
  for (std::int64_t j = lane_of_warp(); j < width; j += kWarp) {
    const float gradient = scale * (dy[j] * a.weight[j] - x[j] * scale * mean);
    dx[j] = a.accumulate_dx ? dx[j] + gradient : gradient;
  }
}

/// partial[chunk][j] = Σ over the chunk's rows, in order, of dy*n. Block (columns, chunk), a thread per
/// column.
__global__ void __launch_bounds__(kRowThreads) weight_gradient_kernel(RmsNormBackward a) {
  const std::int64_t column = global_thread();
  if (column >= a.x.width) return;
  const std::int64_t begin = blockIdx.y * kRowsOfChunk;
  const std::int64_t end = smaller(a.x.rows(), begin + kRowsOfChunk);
  float sum = 0.0F;
  for (std::int64_t row = begin; row < end; ++row) {
    sum = fmaf(a.dy.row(row)[column], a.x.row(row)[column] * a.inv_rms[row], sum);
  }
  a.partial[blockIdx.y * a.x.width + column] = sum;
}

}  // namespace

void rms_norm_forward(Stream stream, const RmsNormForward& arguments) {
  launch(stream, grid_of_warps(arguments.x.rows()), kRowThreads, 0, "rms_norm_forward", forward_kernel,
         arguments);
}

std::int64_t rms_norm_chunks(std::int64_t rows) { return pieces_of(rows, kRowsOfChunk); }

void rms_norm_backward(Stream stream, const RmsNormBackward& arguments) {
  const std::int64_t rows = arguments.x.rows();
  const std::int64_t width = arguments.x.width;
  // Before dx, which may take the place of dy.
  launch(stream, grid_of(pieces_of(width, kRowThreads), rms_norm_chunks(rows)), kRowThreads, 0,
         "rms_norm_weight_gradient", weight_gradient_kernel, arguments);
  add_chunks(stream, arguments.partial, rms_norm_chunks(rows), width, false, arguments.dweight);
  launch(stream, grid_of_warps(rows), kRowThreads, 0, "rms_norm_backward", backward_kernel, arguments);
}

}  // namespace troupe::cuda
