#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tensor/cuda/limits.h"
#include "tensor/cuda/stream.h"
#ifdef TROUPE_CUDA_EMULATED
#include "tensor/cuda/emulation/kernel_language.h"
#else
#include <cuda_runtime.h>
#endif

/// All that a kernel file may include, beside plain structs: nvcc cannot read the headers of the rest of
/// the house (their error messages are checked at compile time in a way it does not know). The same kernel
/// files are compiled for a GPU by nvcc, and for the emulation of one by g++ (docs/gpu.md).
namespace troupe::cuda {

/// Throws when the kernel that was just launched could not be.
void check_launch(const char* kernel);

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xFFFFFFFFU;

/// ceil(count / size)
[[nodiscard]] constexpr std::int64_t pieces_of(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

[[nodiscard]] inline dim3 grid_of(std::int64_t x, std::int64_t y = 1, std::int64_t z = 1) {
  check_limit("the first size of a kernel's grid", x, 0x7FFFFFFF);
  check_limit("the second size of a kernel's grid", y, 0xFFFF);
  check_limit("the third size of a kernel's grid", z, 0xFFFF);
  return {static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z)};
}

/// Queues kernel(arguments...) on `grid` blocks of `threads`. A grid without blocks is no work.
///   shared_bytes: of shared_memory<T>()
template <class... Parameters>
void launch(Stream stream, dim3 grid, int threads, std::size_t shared_bytes, const char* name,
            void (*kernel)(Parameters...), std::type_identity_t<Parameters>... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
#ifdef TROUPE_CUDA_EMULATED
  emulation::enqueue(stream.handle, grid, threads, shared_bytes, name,
                     [kernel, arguments...] { kernel(arguments...); });
#else
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (shared_bytes > kWithoutAsking) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  }
  // clang-format off
  kernel<<<grid, static_cast<unsigned>(threads), shared_bytes, static_cast<cudaStream_t>(stream.handle)>>>(
      arguments...);
  // clang-format on
  check_launch(name);
#endif
}

/// The block's shared memory, of sizeof(T) bytes; not initialised.
template <class T>
__device__ __forceinline__ T& shared_memory() {
#ifdef TROUPE_CUDA_EMULATED
  return *static_cast<T*>(emulation::shared_memory());
#else
  extern __shared__ __align__(16) unsigned char troupe_shared_bytes[];
  return *reinterpret_cast<T*>(troupe_shared_bytes);
#endif
}

/// This thread's number among all threads of the grid's x dimension.
__device__ __forceinline__ std::int64_t global_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// This warp's number among all warps of the grid's x dimension.
__device__ __forceinline__ std::int64_t global_warp() { return global_thread() / kWarp; }

__device__ __forceinline__ int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarp; }

/// Sum over a warp, the same bits in all lanes: pairs at distance 16, 8, 4, 2, 1.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

__device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }
__device__ __forceinline__ float smaller(float a, float b) { return a < b ? a : b; }
__host__ __device__ __forceinline__ std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
__device__ __forceinline__ std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

__device__ __forceinline__ float warp_max(float value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = larger(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

}  // namespace troupe::cuda
