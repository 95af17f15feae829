#include "tensor/cuda/plan.h"

#include "tensor/cuda/kernel.h"
#include "tensor/cuda/scan.h"

namespace troupe::cuda {
namespace {

constexpr int kThreads = 256;
static_assert(kThreads == kPairsOfChunk);

struct CountShared {
  std::int32_t counts[kMostExperts];
};

/// A block per chunk, a thread per pair.
__global__ void __launch_bounds__(kThreads) count_kernel(PlanArguments a) {
  auto& shared = shared_memory<CountShared>();
  const std::int64_t pair = blockIdx.x * kPairsOfChunk + threadIdx.x;
  for (std::int64_t e = threadIdx.x; e < a.experts; e += kThreads) shared.counts[e] = 0;
  __syncthreads();
  const std::int32_t expert = pair < a.token_count * a.slot_count ? a.dispatched[pair] : -1;
  if (expert >= 0) atomicAdd(&shared.counts[expert], 1);  // integers: in any order
  __syncthreads();
  for (std::int64_t e = threadIdx.x; e < a.experts; e += kThreads) {
    a.chunk_counts[e * gridDim.x + blockIdx.x] = shared.counts[e];
  }
}

struct ChunkShared {
  int until[kThreads];
};

/// A block per expert, a thread per run of chunks: chunk_counts become the expert's pairs before each chunk.
__global__ void __launch_bounds__(kThreads) scan_chunks_kernel(PlanArguments a, std::int64_t chunks) {
  auto& shared = shared_memory<ChunkShared>();
  std::int32_t* counts = a.chunk_counts + blockIdx.x * chunks;
  const std::int64_t run = pieces_of(chunks, kThreads);
  const std::int64_t begin = smaller(chunks, threadIdx.x * run);
  const std::int64_t end = smaller(chunks, begin + run);
  std::int32_t own = 0;
  for (std::int64_t chunk = begin; chunk < end; ++chunk) own += counts[chunk];
  const std::int32_t until = sum_until(shared.until, own);
  if (threadIdx.x + 1 == kThreads) a.counts[blockIdx.x] = until;
  std::int32_t before = until - own;
  for (std::int64_t chunk = begin; chunk < end; ++chunk) {
    const std::int32_t here = counts[chunk];
    counts[chunk] = before;
    before += here;
  }
}

constexpr int kScanThreads = 1024;
static_assert(kScanThreads >= kMostExperts);

struct ExpertShared {
  int until[kScanThreads];
};

/// One block, a thread per place of the order.
__global__ void __launch_bounds__(kScanThreads) scan_experts_kernel(PlanArguments a) {
  auto& shared = shared_memory<ExpertShared>();
  const int place = static_cast<int>(threadIdx.x);
  const bool inside = place < a.experts;
  const std::int32_t expert = inside && a.order != nullptr ? a.order[place] : place;
  const std::int32_t count = inside ? a.counts[expert] : 0;
  const std::int32_t until = sum_until(shared.until, count);
  if (inside) a.first_row[expert] = until - count;
}

struct PlaceShared {
  std::int32_t experts[kPairsOfChunk];
};

/// A block per chunk, a thread per pair: its row is the expert's first one, plus the pairs of that expert
/// before the chunk and before it in the chunk.
__global__ void __launch_bounds__(kThreads) place_kernel(PlanArguments a) {
  auto& shared = shared_memory<PlaceShared>();
  const std::int64_t pair = blockIdx.x * kPairsOfChunk + threadIdx.x;
  const bool inside = pair < a.token_count * a.slot_count;
  const std::int32_t expert = inside ? a.dispatched[pair] : -1;
  shared.experts[threadIdx.x] = expert;
  __syncthreads();
  if (!inside) return;
  std::int32_t row = -1;
  if (expert >= 0) {
    row = a.first_row[expert] + a.chunk_counts[expert * gridDim.x + blockIdx.x];
    for (unsigned other = 0; other < threadIdx.x; ++other) row += shared.experts[other] == expert ? 1 : 0;
    a.pairs[row] = static_cast<std::int32_t>(pair);
    if (a.tokens != nullptr) a.tokens[row] = static_cast<std::int32_t>(pair / a.slot_count);
  }
  if (a.slots != nullptr) a.slots[pair] = row;
}

}  // namespace

std::int64_t plan_chunks(std::int64_t pairs) { return pieces_of(pairs, kPairsOfChunk); }

void plan(Stream stream, const PlanArguments& arguments) {
  check_limit("the number of experts", arguments.experts, kMostExperts);
  check_limit("tokens times top_k of a microbatch", arguments.token_count * arguments.slot_count, 0x7FFFFFFF);
  const std::int64_t chunks = plan_chunks(arguments.token_count * arguments.slot_count);
  launch(stream, grid_of(chunks), kThreads, sizeof(CountShared), "plan_count", count_kernel, arguments);
  launch(stream, grid_of(arguments.experts), kThreads, sizeof(ChunkShared), "plan_scan_chunks",
         scan_chunks_kernel, arguments, chunks);
  launch(stream, grid_of(1), kScanThreads, sizeof(ExpertShared), "plan_scan_experts", scan_experts_kernel,
         arguments);
  launch(stream, grid_of(chunks), kThreads, sizeof(PlaceShared), "plan_place", place_kernel, arguments);
}

}  // namespace troupe::cuda
