#include "tensor/cuda/embedding.h"

#include "tensor/cuda/four.h"
#include "tensor/cuda/plan.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A warp per token.
__global__ void __launch_bounds__(kRowThreads)
    forward_kernel(const std::int32_t* tokens, Matrix<const float> table, Matrix<float> out) {
  const std::int64_t token = global_warp();
  if (token >= out.rows) return;
  const float* source = table.row(tokens[token]);
  float* target = out.row(token);
  for (std::int64_t j = lane_of_warp(); j < out.columns; j += kWarp) target[j] = source[j];
}

/// What sorting by id needs: a permutation so far and the next one, and a counting sort by one digit.
struct Scratch {
  std::int32_t* digits;     // [tokens]; in the end the sorted ids
  std::int32_t* sorted;     // [tokens], places in the order before
  std::int32_t* orders[2];  // [tokens]
  std::int32_t* counts;     // [kMostExperts]
  std::int32_t* first_row;  // [kMostExperts]
  std::int32_t* chunk_counts;
};

Scratch divide(std::int32_t* scratch, std::int64_t tokens) {
  std::int32_t* counts = scratch + 4 * tokens;
  return {scratch, scratch + tokens,      {scratch + 2 * tokens, scratch + 3 * tokens},
          counts,  counts + kMostExperts, counts + 2 * kMostExperts};
}

/// after = the order `before`, sorted further; digits: of the ids in that order. A thread per token; null is
/// the order of tokens.
__global__ void __launch_bounds__(kRowThreads)
    reorder_kernel(const std::int32_t* tokens, std::int64_t count, const std::int32_t* before,
                   const std::int32_t* sorted, int shift, std::int32_t mask, std::int32_t* after,
                   std::int32_t* digits) {
  const std::int64_t i = global_thread();
  if (i >= count) return;
  const std::int32_t place = sorted == nullptr ? static_cast<std::int32_t>(i) : sorted[i];
  const std::int32_t token = before == nullptr ? place : before[place];
  after[i] = token;
  digits[i] = (tokens[token] >> shift) & mask;
}

/// The order of tokens by id, then by number: a stable counting sort per digit, the lowest first. Leaves the
/// sorted ids in digits.
const std::int32_t* sort_by_id(Stream stream, const std::int32_t* tokens, std::int64_t count,
                               std::int64_t vocabulary, const Scratch& scratch) {
  constexpr int kDigitBits = 10;
  constexpr std::int32_t kDigits = 1 << kDigitBits;
  static_assert(kDigits <= kMostExperts);
  int pass = 0;
  const auto reorder = [&](int shift, std::int32_t mask) {
    const bool first = pass == 0;
    launch(stream, grid_of_threads(count), kRowThreads, 0, "embedding_reorder", reorder_kernel, tokens, count,
           first ? nullptr : scratch.orders[(pass - 1) % 2], first ? nullptr : scratch.sorted, shift, mask,
           scratch.orders[pass % 2], scratch.digits);
  };
  for (; vocabulary > std::int64_t{1} << (kDigitBits * pass); ++pass) {
    reorder(kDigitBits * pass, kDigits - 1);
    plan(stream, {scratch.digits, count, 1, nullptr, kDigits, scratch.counts, scratch.first_row, nullptr,
                  scratch.sorted, nullptr, scratch.chunk_counts});
  }
  reorder(0, -1);
  return scratch.orders[pass % 2];
}

__device__ __forceinline__ float4 sum_of(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

constexpr int kColumnsOfBlock = 4 * kRowThreads;

/// Block (place in the order, columns), four columns per thread: the first place of an id adds all of that
/// id, in order, so no two blocks write one element. Rows are loaded by four, to wait for them together.
__global__ void __launch_bounds__(kRowThreads)
    backward_kernel(const std::int32_t* order, const std::int32_t* ids, Matrix<const float> dout,
                    Matrix<float> dtable) {
  constexpr int kBatch = 4;
  const std::int64_t first = blockIdx.x;
  const std::int32_t id = ids[first];
  if (first > 0 && ids[first - 1] == id) return;
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kColumnsOfBlock + threadIdx.x * 4;
  const std::int64_t left = dout.columns - column;
  if (left <= 0) return;
  const bool by_four = lies_by_four(dout.data, dout.stride);
  const bool table_by_four = lies_by_four(dtable.data, dtable.stride);
  float* target = dtable.row(id) + column;
  float4 sum = load_four(target, left, table_by_four);
  for (std::int64_t place = first; place < dout.rows && ids[place] == id; place += kBatch) {
    float4 batch[kBatch];
    bool here[kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      here[i] = place + i < dout.rows && ids[place + i] == id;
      batch[i] = load_four(dout.row(here[i] ? order[place + i] : 0) + column, here[i] ? left : 0, by_four);
    }
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      if (here[i]) sum = sum_of(sum, batch[i]);
    }
  }
  store_four(target, left, table_by_four, sum);
}

}  // namespace

void embedding_forward(Stream stream, const std::int32_t* tokens, Matrix<const float> table,
                       Matrix<float> out) {
  launch(stream, grid_of_warps(out.rows), kRowThreads, 0, "embedding_forward", forward_kernel, tokens, table,
         out);
}

std::int64_t embedding_backward_scratch(std::int64_t tokens) {
  return 4 * tokens + (2 + plan_chunks(tokens)) * kMostExperts;
}

void embedding_backward(Stream stream, const std::int32_t* tokens, Matrix<const float> dout,
                        Matrix<float> dtable, std::int32_t* scratch) {
  const Scratch places = divide(scratch, dout.rows);
  const std::int32_t* order = sort_by_id(stream, tokens, dout.rows, dtable.rows, places);
  launch(stream, grid_of(dout.rows, pieces_of(dout.columns, kColumnsOfBlock)), kRowThreads, 0,
         "embedding_backward", backward_kernel, order, places.digits, dout, dtable);
}

}  // namespace troupe::cuda
