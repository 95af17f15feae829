#pragma once
#include "tensor/cuda/kernel.h"

/// Rows read and written by four numbers at once where memory allows it. How they are read changes no bit.
namespace troupe::cuda {

/// Whether every fourth element of every row lies on 16 bytes.
__device__ __forceinline__ bool lies_by_four(const float* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(float4) == 0 && stride % 4 == 0;
}

/// Four numbers of a row that has `left` of them here; zero where there are none.
__device__ __forceinline__ float4 load_four(const float* source, std::int64_t left, bool by_four) {
  if (by_four && left >= 4) return *reinterpret_cast<const float4*>(source);
  return make_float4(left > 0 ? source[0] : 0.0F, left > 1 ? source[1] : 0.0F, left > 2 ? source[2] : 0.0F,
                     left > 3 ? source[3] : 0.0F);
}

/// Writes those of the four that the row has room for.
__device__ __forceinline__ void store_four(float* target, std::int64_t left, bool by_four, float4 four) {
  if (by_four && left >= 4) {
    *reinterpret_cast<float4*>(target) = four;
    return;
  }
  if (left > 0) target[0] = four.x;
  if (left > 1) target[1] = four.y;
  if (left > 2) target[2] = four.z;
  if (left > 3) target[3] = four.w;
}

}  // namespace troupe::cuda
