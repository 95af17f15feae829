#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "tensor/cuda/emulation/runtime.h"
#include "tensor/cuda/kernel.h"
#include "tensor/device/device.h"

namespace troupe::cuda {
namespace {

constexpr int kThreads = 64;

struct Values {
  int values[kThreads];
};

/// Every thread reads what its neighbour wrote.
template <bool kWithBarrier>
void shift(int* out) {
  auto& shared = shared_memory<Values>();
  const int thread = static_cast<int>(threadIdx.x);
  shared.values[thread] = thread;
  if (kWithBarrier) __syncthreads();
  out[thread] = shared.values[(thread + 1) % kThreads];
}

void run(device::Queue& queue, void (*kernel)(int*), int* out) {
  launch(queue.stream(), grid_of(1), kThreads, sizeof(Values), "test", kernel, out);
  queue.synchronize();
}

std::vector<int> shifted_by(void (*kernel)(int*), std::uint64_t seed) {
  emulation::set_seed(seed);
  device::Queue queue;
  std::vector<int> out(kThreads);
  run(queue, kernel, out.data());
  return out;
}

TEST(Emulation, BarrierMakesWritesOfOthersVisibleInEveryOrder) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto out = shifted_by(shift<true>, seed);
    for (int i = 0; i < kThreads; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], (i + 1) % kThreads);
  }
}

TEST(Emulation, MissingBarrierShowsAsOtherBitsUnderAnotherSeed) {
  EXPECT_NE(shifted_by(shift<false>, 1), shifted_by(shift<true>, 1));
  EXPECT_NE(shifted_by(shift<false>, 1), shifted_by(shift<false>, 2));
}

/// One half of the block waits for the other.
void half_waits(int* /*out*/) {
  if (threadIdx.x < kThreads / 2) __syncthreads();
}

TEST(Emulation, BarrierThatSomeThreadsNeverReachIsAnErrorThatSaysWhere) {
  device::Queue queue;
  try {
    run(queue, half_waits, nullptr);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("emulation_test.cpp"), std::string::npos) << error.what();
  }
}

void warp_operations(int* out) {
  const int lane = lane_of_warp();
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int sum = warp_sum(lane + 100 * warp);
  const unsigned odd = __ballot_sync(kAllLanes, lane % 2 == 1);
  const int third = __shfl_sync(kAllLanes, lane, 3);
  out[threadIdx.x] = odd == 0xAAAAAAAAU && third == 3 ? sum : -1;
}

TEST(Emulation, WarpOperationsExchangeAmongTheLanesOfOneWarp) {
  const auto out = shifted_by(warp_operations, 3);
  for (int i = 0; i < kThreads; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)], 496 + i / kWarp * 3200);
}

void count_blocks(int* counts) {
  if (threadIdx.x == 0) atomicAdd(&counts[blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z)], 1);
}

TEST(Emulation, EveryBlockRunsOnce) {
  device::Queue queue;
  std::vector<int> counts(2 * 3 * 4);
  launch(queue.stream(), grid_of(2, 3, 4), kThreads, 0, "count", count_blocks, counts.data());
  queue.synchronize();
  EXPECT_EQ(counts, std::vector<int>(counts.size(), 1));
}

/// What lies in shared memory before anything is written there.
void read_fresh(int* out) { out[threadIdx.x] = shared_memory<Values>().values[threadIdx.x]; }

TEST(Emulation, SharedMemoryOfABlockIsPoisoned) {
  for (const int value : shifted_by(read_fresh, 1)) EXPECT_LT(value, 0);
}

}  // namespace
}  // namespace troupe::cuda
