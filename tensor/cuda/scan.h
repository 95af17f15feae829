#pragma once
#include "tensor/cuda/kernel.h"

namespace troupe::cuda {

/// Sum of `value` over this thread and all before it in the block; all threads call it.
///   sums: in shared memory, an element per thread; holds every thread's result afterwards
template <int kThreads>
__device__ __forceinline__ int sum_until(int (&sums)[kThreads], int value) {
  const int thread = static_cast<int>(threadIdx.x);
  sums[thread] = value;
  __syncthreads();
  for (int distance = 1; distance < kThreads; distance *= 2) {
    const int before = thread >= distance ? sums[thread - distance] : 0;
    __syncthreads();
    sums[thread] += before;
    __syncthreads();
  }
  return sums[thread];
}

}  // namespace troupe::cuda
