#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

/// The part of CUDA C++ that kernels use, as g++ can compile it. Names are CUDA's. What needs other threads
/// is in emulation/block.h, behind the functions declared here.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

// Of the thread that is running; set by the scheduler whenever it resumes one.
inline thread_local dim3 threadIdx;
inline thread_local dim3 blockIdx;
inline thread_local dim3 blockDim;
inline thread_local dim3 gridDim;

namespace troupe::cuda::emulation {

/// Runs `body` once for every thread of the grid, when the queue comes to it.
void enqueue(void* queue, dim3 grid, int threads, std::size_t shared_bytes, const char* name,
             std::function<void()> body);

[[nodiscard]] void* shared_memory();

/// Returns when all threads of the block have called it. `file`, `line`: for the message when they do not.
void block_barrier(const char* file, int line);

/// Exchanges 8 bytes inside the warp: what lane `source` gave. All 32 lanes must call it.
[[nodiscard]] std::uint64_t exchange(std::uint64_t value, int source);
/// Bit i is set where lane i gave true.
[[nodiscard]] unsigned ballot(bool value);

template <class T>
T shuffle(T value, int source) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(bits, source);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace troupe::cuda::emulation

#define __syncthreads() ::troupe::cuda::emulation::block_barrier(__FILE__, __LINE__)

inline void __syncwarp() { (void)troupe::cuda::emulation::ballot(true); }
template <class T>
T __shfl_xor_sync(unsigned /*mask*/, T value, int distance) {
  return troupe::cuda::emulation::shuffle(value, static_cast<int>(threadIdx.x % 32U) ^ distance);
}
template <class T>
T __shfl_sync(unsigned /*mask*/, T value, int lane) {
  return troupe::cuda::emulation::shuffle(value, lane);
}
inline unsigned __ballot_sync(unsigned /*mask*/, bool value) {
  return troupe::cuda::emulation::ballot(value);
}

inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __float_as_int(float value) {
  int bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline long long __double_as_longlong(double value) {
  long long bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline double __longlong_as_double(long long bits) {
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Blocks and threads take turns, so this is a plain addition; only integers, whose order does not matter.
inline int atomicAdd(int* target, int value) {
  const int before = *target;
  *target += value;
  return before;
}
inline unsigned long long atomicAdd(unsigned long long* target, unsigned long long value) {
  const unsigned long long before = *target;
  *target += value;
  return before;
}
