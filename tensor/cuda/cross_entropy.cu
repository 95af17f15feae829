#include "tensor/cuda/cross_entropy.h"

#include "tensor/cuda/math.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// Per warp of the block.
struct CrossEntropyShared {
  float values[kWarpsPerBlock];
};

/// Sum of all threads' values, warps in order, the same in all threads.
__device__ __forceinline__ float block_sum(CrossEntropyShared& shared, float value) {
  value = warp_sum(value);
  __syncthreads();  // the last sum was read
  if (lane_of_warp() == 0) shared.values[threadIdx.x / kWarp] = value;
  __syncthreads();
  float sum = 0.0F;
  for (const float part : shared.values) sum += part;
  return sum;
}

__device__ __forceinline__ float block_max(CrossEntropyShared& shared, float value) {
  value = warp_max(value);
  __syncthreads();
  if (lane_of_warp() == 0) shared.values[threadIdx.x / kWarp] = value;
  __syncthreads();
  float largest = shared.values[0];
  for (const float part : shared.values) largest = larger(largest, part);
  return largest;
}

/// log of the sum of exponentials of a row, in all threads of the block.
__device__ __forceinline__ double log_sum_exp(CrossEntropyShared& shared, const float* row,
                                              std::int64_t columns) {
  float largest = row[0];
  for (std::int64_t j = threadIdx.x; j < columns; j += kRowThreads) largest = larger(largest, row[j]);
  largest = block_max(shared, largest);
  float sum = 0.0F;
  for (std::int64_t j = threadIdx.x; j < columns; j += kRowThreads)
    sum += exp_of_non_positive(row[j] - largest);
  sum = block_sum(shared, sum);
  return static_cast<double>(largest) + log_f64(static_cast<double>(sum));
}

/// A block per row.
__global__ void __launch_bounds__(kRowThreads)
    forward_kernel(Matrix<const float> logits, const std::int32_t* targets, double* nll, double* log_z) {
  auto& shared = shared_memory<CrossEntropyShared>();
  const std::int64_t row = blockIdx.x;
  const std::int32_t target = targets[row];
  if (target < 0) {
    if (threadIdx.x == 0) nll[row] = log_z[row] = 0.0;
    return;
  }
  const double z = log_sum_exp(shared, logits.row(row), logits.columns);
  if (threadIdx.x == 0) {
    log_z[row] = z;
    nll[row] = z - static_cast<double>(logits.row(row)[target]);
  }
}

/// logits = scale * ((1 + 2 * z_loss * log_z) * p - onehot(target)), 0 where masked. A block per row.
__global__ void __launch_bounds__(kRowThreads)
    gradient_kernel(Matrix<float> logits, const std::int32_t* targets, float scale, float z_loss,
                    const double* log_z) {
  const std::int64_t row = blockIdx.x;
  const std::int32_t target = targets[row];
  const auto z = static_cast<float>(log_z[row]);
  const float factor = 1.0F + 2.0F * z_loss * z;
  float* values = logits.row(row);
  for (std::int64_t j = threadIdx.x; j < logits.columns; j += kRowThreads) {
    const float p = exp_of_non_positive(values[j] - z);
    values[j] = target < 0 ? 0.0F : scale * (factor * p - (j == target ? 1.0F : 0.0F));
  }
}

}  // namespace

void cross_entropy_forward(Stream stream, Matrix<const float> logits, const std::int32_t* targets,
                           double* nll, double* log_z) {
  launch(stream, grid_of(logits.rows), kRowThreads, sizeof(CrossEntropyShared), "cross_entropy_forward",
         forward_kernel, logits, targets, nll, log_z);
}

void cross_entropy_forward_backward(Stream stream, Matrix<float> logits, const std::int32_t* targets,
                                    float scale, float z_loss, double* nll, double* log_z) {
  cross_entropy_forward(stream, logits, targets, nll, log_z);
  launch(stream, grid_of(logits.rows), kRowThreads, 0, "cross_entropy_gradient", gradient_kernel, logits,
         targets, scale, z_loss, log_z);
}

}  // namespace troupe::cuda
