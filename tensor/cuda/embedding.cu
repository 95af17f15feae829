#include "tensor/cuda/embedding.h"

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

struct OccurrenceShared {
  unsigned same[kWarpsPerBlock];  // bit i of word w: token 32 w + i of this stretch is ours
};

/// Which tokens of the stretch from `begin` on are `id`; the same in all threads.
__device__ __forceinline__ void find_occurrences(OccurrenceShared& shared, const std::int32_t* tokens,
                                                 std::int64_t begin, std::int64_t end, std::int32_t id) {
  const std::int64_t token = begin + threadIdx.x;
  const unsigned same = __ballot_sync(kAllLanes, token < end && tokens[token] == id);
  __syncthreads();  // the last stretch was read
  if (lane_of_warp() == 0) shared.same[threadIdx.x / kWarp] = same;
  __syncthreads();
}

/// Whether `token` is the first one of its id.
__device__ __forceinline__ bool is_first(OccurrenceShared& shared, const std::int32_t* tokens,
                                         std::int64_t token) {
  for (std::int64_t begin = 0; begin < token; begin += kRowThreads) {
    find_occurrences(shared, tokens, begin, token, tokens[token]);
    unsigned any = 0;
    for (const unsigned same : shared.same) any |= same;
    if (any != 0) return false;
  }
  return true;
}

/// Block (token, columns), a thread per column: the first token of an id adds all of that id, in order. No
/// two blocks write one element, and nothing needs sorting; looking for them costs tokens²/2 comparisons.
__global__ void __launch_bounds__(kRowThreads)
    backward_kernel(const std::int32_t* tokens, Matrix<const float> dout, Matrix<float> dtable) {
  auto& shared = shared_memory<OccurrenceShared>();
  const std::int64_t token = blockIdx.x;
  if (!is_first(shared, tokens, token)) return;
  const std::int32_t id = tokens[token];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.y) * kRowThreads + threadIdx.x;
  const bool inside = column < dout.columns;
  float sum = inside ? dtable.row(id)[column] : 0.0F;
  for (std::int64_t begin = token; begin < dout.rows; begin += kRowThreads) {
    find_occurrences(shared, tokens, begin, dout.rows, id);
    for (int word = 0; word < kWarpsPerBlock; ++word) {
      for (unsigned same = shared.same[word]; same != 0; same &= same - 1) {
        const std::int64_t row = begin + word * kWarp + __ffs(static_cast<int>(same)) - 1;
        if (inside) sum += dout.row(row)[column];
      }
    }
  }
  if (inside) dtable.row(id)[column] = sum;
}

}  // namespace

void embedding_forward(Stream stream, const std::int32_t* tokens, Matrix<const float> table,
                       Matrix<float> out) {
  launch(stream, grid_of_warps(out.rows), kRowThreads, 0, "embedding_forward", forward_kernel, tokens, table,
         out);
}

void embedding_backward(Stream stream, const std::int32_t* tokens, Matrix<const float> dout,
                        Matrix<float> dtable) {
  launch(stream, grid_of(dout.rows, pieces_of(dout.columns, kRowThreads)), kRowThreads,
         sizeof(OccurrenceShared), "embedding_backward", backward_kernel, tokens, dout, dtable);
}

}  // namespace troupe::cuda
