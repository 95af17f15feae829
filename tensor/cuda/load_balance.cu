#include "tensor/cuda/load_balance.h"

#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per token; lane i adds the choices i, i + 32, … in order, then pairs of lanes.
__global__ void __launch_bounds__(kRowThreads) load_balance_kernel(LoadBalanceArguments a) {
  const std::int64_t token = global_warp();
  if (token >= a.scores.rows) return;
  const float* s = a.scores.row(token);
  const double* f = a.frequencies + token / a.stretch * a.scores.columns;
  float sum = 0.0F;
  for (std::int64_t i = lane_of_warp(); i < a.scores.columns; i += kWarp) sum += s[i];
  sum = warp_sum(sum);
  double value = 0.0;
  float dot = 0.0F;
  for (std::int64_t i = lane_of_warp(); i < a.scores.columns; i += kWarp) {
    const float p = s[i] / sum;
    value += f[i] * static_cast<double>(p);
    dot = fmaf(static_cast<float>(a.gradient_factor * f[i]), p, dot);
  }
  value = warp_sum(value);
  dot = warp_sum(dot);
  if (lane_of_warp() == 0) a.values[token] = a.value_factor * value;
  float* ds = a.dscores.row(token);
  for (std::int64_t i = lane_of_warp(); i < a.scores.columns; i += kWarp) {
    ds[i] += (static_cast<float>(a.gradient_factor * f[i]) - dot) / sum;
  }
}

}  // namespace

void load_balance(Stream stream, const LoadBalanceArguments& arguments) {
  launch(stream, grid_of_warps(arguments.scores.rows), kRowThreads, 0, "load_balance", load_balance_kernel,
         arguments);
}

}  // namespace troupe::cuda
