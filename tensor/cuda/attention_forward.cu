#include "tensor/cuda/attention_score.h"
#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/math.h"

namespace troupe::cuda {
namespace {

template <int kDim>
struct ForwardShared {
  static constexpr int kRows = AttentionTile<kDim>::kRows;
  typename AttentionTile<kDim>::template Rows<kRows> q;
  typename AttentionTile<kDim>::template Rows<kRows> keys;  // then values
  typename AttentionTile<kDim>::Exchange exchange;
  QueryRows<kRows> queries;
};

template <int kDim>
using ForwardScores = typename AttentionTile<kDim>::template Scores<AttentionTile<kDim>::kRows>;

/// The online softmax of this thread's rows (arXiv 2205.14135).
template <int kOwn>
struct RowStates {
  float largest[kOwn];
  float sum[kOwn];
};

/// Turns scores into weights relative to the largest score so far, and rescales what was summed before.
template <int kDim, class Form>
__device__ __forceinline__ void weigh_scores(const ForwardShared<kDim>& shared, int begin, int count, int key,
                                             const Form& form, ForwardScores<kDim>& scores,
                                             RowStates<AttentionTile<kDim>::kOwn>& state,
                                             typename AttentionTile<kDim>::Sums& sums) {
  using Tile = AttentionTile<kDim>;
  constexpr int kAcross = Tile::kRows / kSide;
#pragma unroll
  for (int i = 0; i < Tile::kOwn; ++i) {
    const int row = own_row(i);
    float largest = kMinusInfinity;
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
      const int position = key + thread_x() + kSide * j;
      const bool visible = sees(shared.queries, begin, count, row, position);
      scores[i][j] = visible ? form.of(scores[i][j], begin + row - position).value : kMinusInfinity;
      largest = larger(largest, scores[i][j]);
    }
    largest = larger(state.largest[i], row_max(largest));
    const bool none = largest == kMinusInfinity;  // the row has seen nothing yet
    const float correction = none ? 1.0F : exp_of_non_positive(state.largest[i] - largest);
    float sum = 0.0F;
#pragma unroll
    for (int j = 0; j < kAcross; ++j) {
      const float weight =
          scores[i][j] == kMinusInfinity ? 0.0F : exp_of_non_positive(scores[i][j] - largest);
      scores[i][j] = weight;
      sum += weight;
    }
    state.sum[i] = fmaf(state.sum[i], correction, row_sum(sum));
    state.largest[i] = largest;
#pragma unroll
    for (int c = 0; c < Tile::kOwnColumns; ++c) sums[i][c] *= correction;
  }
}

/// Block (sequence and head, query tile), the tiles with the most keys first.
template <int kDim, class Form>
__global__ void __launch_bounds__(kAttentionThreads, 3) forward_kernel(AttentionForward a) {
  using Tile = AttentionTile<kDim>;
  auto& shared = shared_memory<ForwardShared<kDim>>();
  const std::int64_t head = blockIdx.x % a.sizes.heads;
  const std::int64_t kv_head = head / (a.sizes.heads / a.sizes.kv_heads);
  const std::int64_t first_token = blockIdx.x / a.sizes.heads * a.sizes.length;
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  const int begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * Tile::kRows;
  const int count = static_cast<int>(smaller(Tile::kRows, a.sizes.length - begin));
  const std::int32_t* first_visible = a.first_visible + first_token;
  const float* k = a.k.row(first_token) + kv_head * head_dim;
  const float* v = a.v.row(first_token) + kv_head * head_dim;

  load_queries(shared.queries, first_visible, nullptr, nullptr, begin, count);
  load_rows<kDim, Tile::kRows>(shared.q,
                               {a.q.row(first_token + begin) + head * head_dim, a.q.stride, count, head_dim});
  RowStates<Tile::kOwn> state;
#pragma unroll
  for (int i = 0; i < Tile::kOwn; ++i) {
    state.largest[i] = a.sinks == nullptr ? kMinusInfinity : a.sinks[head];
    state.sum[i] = a.sinks == nullptr ? 0.0F : 1.0F;
  }
  typename Tile::Sums sums;
  clear_sums<kDim>(sums);
  const Form form(a.scores, a.sizes, head);
  // Tiles before the first visible key of the first query are hidden from all.
  for (int key = first_visible[begin] / Tile::kRows * Tile::kRows; key < begin + count; key += Tile::kRows) {
    const int keys = static_cast<int>(smaller(Tile::kRows, a.sizes.length - key));
    __syncthreads();
    load_rows<kDim, Tile::kRows>(shared.keys, {k + key * a.k.stride, a.k.stride, keys, head_dim});
    __syncthreads();
    ForwardScores<kDim> scores;
    multiply_rows<kDim, Tile::kRows>(shared.q, shared.keys, scores);
    weigh_scores<kDim>(shared, begin, count, key, form, scores, state, sums);
    __syncthreads();
    load_rows<kDim, Tile::kRows>(shared.keys, {v + key * a.v.stride, a.v.stride, keys, head_dim});
    __syncthreads();
    add_products<kDim, Tile::kRows>(scores, shared.keys, shared.exchange, sums);
  }
#pragma unroll
  for (int i = 0; i < Tile::kOwn; ++i) {
    const int row = own_row(i);
#pragma unroll
    for (int c = 0; c < Tile::kOwnColumns; ++c) sums[i][c] = sums[i][c] / state.sum[i];
    if (row < count && thread_x() == 0) {
      a.log_sum_exp[blockIdx.x * a.sizes.length + begin + row] = state.largest[i] + log_f32(state.sum[i]);
    }
  }
  store_rows<kDim>(sums, a.out.row(first_token + begin) + head * head_dim, a.out.stride, count, head_dim);
}

}  // namespace

void attention_forward(Stream stream, const AttentionForward& arguments) {
  with_head_dim(arguments.sizes.head_dim, [&]<int kDim>() {
    const dim3 grid = grid_of(arguments.sizes.sequences * arguments.sizes.heads,
                              pieces_of(arguments.sizes.length, AttentionTile<kDim>::kRows));
    with_score(arguments.scores, [&]<class Form>() {
      launch(stream, grid, kAttentionThreads, sizeof(ForwardShared<kDim>), "attention_forward",
             forward_kernel<kDim, Form>, arguments);
    });
  });
}

}  // namespace troupe::cuda
