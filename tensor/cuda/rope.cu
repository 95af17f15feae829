#include "tensor/cuda/rope.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per head of a token.
__global__ void __launch_bounds__(kRowThreads) rope_kernel(RopeArguments a) {
  const std::int64_t row = global_warp();
  if (row >= a.x.rows()) return;
  float* x = a.x.row(row);
  const std::int64_t half = a.rotary / 2;
  const std::int64_t position = a.positions[row / a.x.heads];
  for (std::int64_t i = lane_of_warp(); i < half; i += kWarp) {
    const float cosine = a.cosine[position * half + i];
    const float sine = a.backward ? -a.sine[position * half + i] : a.sine[position * half + i];
    float& a_channel = x[a.interleaved ? 2 * i : i];
    float& b_channel = x[a.interleaved ? 2 * i + 1 : half + i];
    const float first = a_channel;
    const float second = b_channel;
    a_channel = first * cosine - second * sine;
    b_channel = second * cosine + first * sine;
  }
}

}  // namespace

void rope(Stream stream, const RopeArguments& arguments) {
  launch(stream, grid_of_warps(arguments.x.rows()), kRowThreads, 0, "rope", rope_kernel, arguments);
}

}  // namespace troupe::cuda
