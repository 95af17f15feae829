#include "tensor/cuda/slots.h"

#include "tensor/cuda/four.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per row of out.
__global__ void __launch_bounds__(kRowThreads)
    gather_kernel(Matrix<const float> x, const std::int32_t* rows, const float* weights,
                  const std::int32_t* pairs, Matrix<float> out) {
  const std::int64_t row = global_warp();
  if (row >= out.rows) return;
  constexpr int kBatch = 4;  // loads that wait together
  const float* source = x.row(rows[row]);
  const float weight = weights == nullptr ? 1.0F : weights[pairs[row]];
  float* target = out.row(row);
  const bool from_by_four = lies_by_four(x.data, x.stride);
  const bool to_by_four = lies_by_four(out.data, out.stride);
  for (std::int64_t begin = lane_of_warp() * 4; begin < out.columns; begin += kBatch * kWarp * 4) {
    float4 batch[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const std::int64_t column = begin + i * kWarp * 4;
      batch[i] = load_four(source + column, out.columns - column, from_by_four);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const std::int64_t column = begin + i * kWarp * 4;
      const float4 four =
          make_float4(batch[i].x * weight, batch[i].y * weight, batch[i].z * weight, batch[i].w * weight);
      store_four(target + column, out.columns - column, to_by_four, four);
    }
  }
}

/// Σ_s w[t,s] * y[slot(t,s)][j], slots in order; weights 1 without data.
__device__ __forceinline__ float sum_of_slots(const Matrix<const float>& y, const std::int32_t* slots,
                                              std::int64_t slot_count, const float* weights, std::int64_t j) {
  float sum = 0.0F;
  for (std::int64_t s = 0; s < slot_count; ++s) {
    if (slots[s] < 0) continue;
    const float value = y.row(slots[s])[j];
    sum = weights == nullptr ? sum + value : fmaf(weights[s], value, sum);
  }
  return sum;
}

/// A warp per token.
__global__ void __launch_bounds__(kRowThreads)
    combine_kernel(Matrix<const float> y, Matrix<const std::int32_t> slots, Matrix<const float> weights,
                   Matrix<const float> base, Matrix<float> out) {
  const std::int64_t token = global_warp();
  if (token >= out.rows) return;
  for (std::int64_t j = lane_of_warp(); j < out.columns; j += kWarp) {
    const float sum = sum_of_slots(y, slots.row(token), slots.columns, weights.row(token), j);
    out.row(token)[j] = base.data == nullptr ? sum : sum + base.row(token)[j];
  }
}

/// A warp per token.
__global__ void __launch_bounds__(kRowThreads)
    scatter_kernel(Matrix<const float> dgathered, Matrix<const std::int32_t> slots,
                   Matrix<const float> weights, Matrix<float> dx) {
  const std::int64_t token = global_warp();
  if (token >= dx.rows) return;
  const float* weight = weights.data == nullptr ? nullptr : weights.row(token);
  for (std::int64_t j = lane_of_warp(); j < dx.columns; j += kWarp) {
    dx.row(token)[j] += sum_of_slots(dgathered, slots.row(token), slots.columns, weight, j);
  }
}

/// <a, b> of `size` numbers, in all lanes: lane i adds i, i + 32, … in order, then pairs of lanes.
__device__ __forceinline__ float warp_dot(const float* a, const float* b, std::int64_t size) {
  float sum = 0.0F;
  for (std::int64_t j = lane_of_warp(); j < size; j += kWarp) sum = fmaf(a[j], b[j], sum);
  return warp_sum(sum);
}

/// A warp per (token, slot).
__global__ void __launch_bounds__(kRowThreads)
    combine_backward_kernel(Matrix<const float> dout, Matrix<const float> y, Matrix<const std::int32_t> slots,
                            Matrix<const float> weights, Matrix<float> dy, Matrix<float> dweights) {
  const std::int64_t pair = global_warp();
  if (pair >= slots.rows * slots.columns) return;
  const std::int64_t token = pair / slots.columns;
  const std::int64_t s = pair % slots.columns;
  const std::int32_t slot = slots.row(token)[s];
  float product = 0.0F;
  if (slot >= 0) {
    const float* gradient = dout.row(token);
    product = warp_dot(gradient, y.row(slot), dout.columns);
    const float weight = weights.row(token)[s];
    float* target = dy.row(slot);
    for (std::int64_t j = lane_of_warp(); j < dout.columns; j += kWarp) target[j] = weight * gradient[j];
  }
  if (lane_of_warp() == 0) dweights.row(token)[s] = product;
}

/// A warp per (token, slot).
__global__ void __launch_bounds__(kRowThreads)
    slot_products_kernel(Matrix<const float> a, Matrix<const float> y, Matrix<const std::int32_t> slots,
                         Matrix<float> out) {
  const std::int64_t pair = global_warp();
  if (pair >= slots.rows * slots.columns) return;
  const std::int64_t token = pair / slots.columns;
  const std::int64_t s = pair % slots.columns;
  const std::int32_t slot = slots.row(token)[s];
  if (slot < 0) return;
  const float product = warp_dot(a.row(token), y.row(slot), a.columns);
  if (lane_of_warp() == 0) out.row(token)[s] += product;
}

}  // namespace

void gather_rows(Stream stream, Matrix<const float> x, const std::int32_t* rows, const float* weights,
                 const std::int32_t* pairs, Matrix<float> out) {
  launch(stream, grid_of_warps(out.rows), kRowThreads, 0, "gather_rows", gather_kernel, x, rows, weights,
         pairs, out);
}
void combine_rows(Stream stream, Matrix<const float> y, Matrix<const std::int32_t> slots,
                  Matrix<const float> weights, Matrix<const float> base, Matrix<float> out) {
  launch(stream, grid_of_warps(out.rows), kRowThreads, 0, "combine_rows", combine_kernel, y, slots, weights,
         base, out);
}
void combine_rows_backward(Stream stream, Matrix<const float> dout, Matrix<const float> y,
                           Matrix<const std::int32_t> slots, Matrix<const float> weights, Matrix<float> dy,
                           Matrix<float> dweights) {
  launch(stream, grid_of_warps(slots.rows * slots.columns), kRowThreads, 0, "combine_rows_backward",
         combine_backward_kernel, dout, y, slots, weights, dy, dweights);
}
void add_slot_products(Stream stream, Matrix<const float> a, Matrix<const float> y,
                       Matrix<const std::int32_t> slots, Matrix<float> out) {
  launch(stream, grid_of_warps(slots.rows * slots.columns), kRowThreads, 0, "add_slot_products",
         slot_products_kernel, a, y, slots, out);
}
void scatter_slots_add(Stream stream, Matrix<const float> dgathered, Matrix<const std::int32_t> slots,
                       Matrix<const float> weights, Matrix<float> dx) {
  launch(stream, grid_of_warps(dx.rows), kRowThreads, 0, "scatter_slots_add", scatter_kernel, dgathered,
         slots, weights, dx);
}

}  // namespace troupe::cuda
