#include "tensor/cuda/plan.h"

#include "tensor/cuda/kernel.h"

namespace troupe::cuda {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads == kPairsOfChunk);

struct CountShared {
  std::int32_t counts[kMostExperts];
};

/// chunk_counts[chunk][expert], a block per chunk, a thread per pair.
__global__ void __launch_bounds__(kThreads) count_kernel(PlanArguments a) {
  auto& shared = shared_memory<CountShared>();
  const std::int64_t pair = blockIdx.x * kPairsOfChunk + threadIdx.x;
  for (std::int64_t e = threadIdx.x; e < a.experts; e += kThreads) shared.counts[e] = 0;
  __syncthreads();
  const std::int32_t expert = pair < a.token_count * a.slot_count ? a.dispatched[pair] : -1;
  if (expert >= 0) atomicAdd(&shared.counts[expert], 1);  // integers: in any order
  __syncthreads();
  for (std::int64_t e = threadIdx.x; e < a.experts; e += kThreads) {
    a.chunk_counts[blockIdx.x * a.experts + e] = shared.counts[e];
  }
}

constexpr int kScanThreads = 1024;
static_assert(kScanThreads >= kMostExperts);

struct ScanShared {
  std::int32_t until[kScanThreads];  // pairs of this place's expert and of all before it
};

/// One block, a thread per place of the order: chunk_counts become the rows where a chunk's pairs of an
/// expert begin.
__global__ void __launch_bounds__(kScanThreads) scan_kernel(PlanArguments a, std::int64_t chunks) {
  auto& shared = shared_memory<ScanShared>();
  const int place = static_cast<int>(threadIdx.x);
  const std::int32_t expert = place < a.experts ? a.order[place] : 0;
  std::int32_t count = 0;
  for (std::int64_t chunk = 0; place < a.experts && chunk < chunks; ++chunk) {
    count += a.chunk_counts[chunk * a.experts + expert];
  }
  shared.until[place] = count;
  __syncthreads();
  for (int distance = 1; distance < kScanThreads; distance *= 2) {
    const std::int32_t before = place >= distance ? shared.until[place - distance] : 0;
    __syncthreads();
    shared.until[place] += before;
    __syncthreads();
  }
  if (place >= a.experts) return;
  std::int32_t row = shared.until[place] - count;
  a.counts[expert] = count;
  a.first_row[expert] = row;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    std::int32_t& here = a.chunk_counts[chunk * a.experts + expert];
    const std::int32_t next = row + here;
    here = row;
    row = next;
  }
}

struct PlaceShared {
  std::int32_t experts[kPairsOfChunk];
};

/// A block per chunk, a thread per pair: its row is the chunk's first of its expert, plus the pairs of that
/// expert before it in the chunk.
__global__ void __launch_bounds__(kThreads) place_kernel(PlanArguments a) {
  auto& shared = shared_memory<PlaceShared>();
  const std::int64_t pair = blockIdx.x * kPairsOfChunk + threadIdx.x;
  const bool inside = pair < a.token_count * a.slot_count;
  const std::int32_t expert = inside ? a.dispatched[pair] : -1;
  shared.experts[threadIdx.x] = expert;
  __syncthreads();
  if (!inside) return;
  if (expert < 0) {
    a.slots[pair] = -1;
    return;
  }
  std::int32_t row = a.chunk_counts[blockIdx.x * a.experts + expert];
  for (unsigned other = 0; other < threadIdx.x; ++other) row += shared.experts[other] == expert ? 1 : 0;
  a.slots[pair] = row;
  a.pairs[row] = static_cast<std::int32_t>(pair);
  a.tokens[row] = static_cast<std::int32_t>(pair / a.slot_count);
}

}  // namespace

std::int64_t plan_chunks(std::int64_t pairs) { return pieces_of(pairs, kPairsOfChunk); }

void plan(Stream stream, const PlanArguments& arguments) {
  const std::int64_t chunks = plan_chunks(arguments.token_count * arguments.slot_count);
  launch(stream, grid_of(chunks), kThreads, sizeof(CountShared), "plan_count", count_kernel, arguments);
  launch(stream, grid_of(1), kScanThreads, sizeof(ScanShared), "plan_scan", scan_kernel, arguments, chunks);
  launch(stream, grid_of(chunks), kThreads, sizeof(PlaceShared), "plan_place", place_kernel, arguments);
}

}  // namespace troupe::cuda
