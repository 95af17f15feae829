#include "tensor/cuda/attention_score.h"
#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/math.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

/// A tile of queries: their rows, their gradients, and what is known of them.
template <int kDim, int kCount>
struct QueryTile {
  typename AttentionTile<kDim>::template Rows<kCount> q;
  typename AttentionTile<kDim>::template Rows<kCount> dout;
  QueryRows<kCount> queries;
};

/// delta = <dout, out>: a warp per (token, head).
__global__ void __launch_bounds__(256) delta_kernel(AttentionBackward a) {
  const std::int64_t index = global_warp();
  const std::int64_t tokens = a.sizes.sequences * a.sizes.length;
  if (index >= tokens * a.sizes.heads) return;
  const std::int64_t token = index / a.sizes.heads;
  const std::int64_t head = index % a.sizes.heads;
  const float* dout = a.dout.row(token) + head * a.sizes.head_dim;
  const float* out = a.out.row(token) + head * a.sizes.head_dim;
  float sum = 0.0F;
  for (std::int64_t c = lane_of_warp(); c < a.sizes.head_dim; c += kWarp) sum = fmaf(dout[c], out[c], sum);
  sum = warp_sum(sum);
  const std::int64_t row = token / a.sizes.length * a.sizes.heads + head;
  if (lane_of_warp() == 0) a.delta[row * a.sizes.length + token % a.sizes.length] = sum;
}

/// dsink = -Σ p_sink delta. A block per head, tokens over threads.
__global__ void __launch_bounds__(kRowThreads) sink_kernel(AttentionBackward a) {
  const std::int64_t head = blockIdx.x;
  double part = 0.0;
  for (std::int64_t token = threadIdx.x; token < a.sizes.sequences * a.sizes.length; token += kRowThreads) {
    const std::int64_t row = token / a.sizes.length * a.sizes.heads + head;
    const std::int64_t place = row * a.sizes.length + token % a.sizes.length;
    const float p = exp_of_non_positive(a.sinks[head] - a.log_sum_exp[place]);
    part -= static_cast<double>(p) * static_cast<double>(a.delta[place]);
  }
  const double sum = block_sum(shared_memory<SumShared>(), part);
  if (threadIdx.x == 0) a.dsinks[head] = static_cast<float>(sum);
}

/// One head of one sequence: where its rows begin.
struct HeadPlace {
  std::int64_t first_token;
  std::int64_t q_column;
  std::int64_t kv_column;
  std::int64_t statistics;  // in log_sum_exp and delta
};

__device__ __forceinline__ HeadPlace place_of_head(const AttentionSizes& sizes, std::int64_t sequence,
                                                   std::int64_t head) {
  return {sequence * sizes.length, head * sizes.head_dim,
          head / (sizes.heads / sizes.kv_heads) * sizes.head_dim,
          (sequence * sizes.heads + head) * sizes.length};
}

/// The `count` queries from `begin` on.
template <int kDim, int kCount>
__device__ __forceinline__ void load_query_tile(QueryTile<kDim, kCount>& tile, const AttentionBackward& a,
                                                const HeadPlace& place, int begin, int count) {
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  const std::int64_t first = place.first_token + begin;
  load_queries(tile.queries, a.first_visible + place.first_token, a.log_sum_exp + place.statistics,
               a.delta + place.statistics, begin, count);
  load_rows<kDim, kCount>(tile.q, {a.q.row(first) + place.q_column, a.q.stride, count, head_dim});
  load_rows<kDim, kCount>(tile.dout, {a.dout.row(first) + place.q_column, a.dout.stride, count, head_dim});
}

/// Rows of k or v: the `count` keys from `begin` on.
template <int kDim>
__device__ __forceinline__ void load_key_tile(
    typename AttentionTile<kDim>::template Rows<AttentionTile<kDim>::kRows>& tile,
    const Matrix<const float>& keys, const AttentionSizes& sizes, const HeadPlace& place, int begin,
    int count) {
  load_rows<kDim, AttentionTile<kDim>::kRows>(tile, {keys.row(place.first_token + begin) + place.kv_column,
                                                     keys.stride, count, static_cast<int>(sizes.head_dim)});
}

/// <q, k>, with its score, and <dout, v> of a pair → weight p and ds = p (<dout, v> - delta) slope; both 0
/// where the query does not see the key.
template <int kRows>
__device__ __forceinline__ void differentiate(const QueryRows<kRows>& queries, bool visible, int query,
                                              const Score& score, float& weight, float& product) {
  weight = visible ? exp_of_non_positive(score.value - queries.log_sum_exp[query]) : 0.0F;
  product = visible ? weight * (product - queries.delta[query]) * score.slope : 0.0F;
}

template <int kDim>
struct KeyShared {
  static constexpr int kKeys = AttentionTile<kDim>::kRows;
  static constexpr int kQueries = kKeys / 2;  // with both gradients, a thread has registers for no more
  typename AttentionTile<kDim>::template Rows<kKeys> k;
  typename AttentionTile<kDim>::template Rows<kKeys> v;
  QueryTile<kDim, kQueries> tile;
  typename AttentionTile<kDim>::Exchange exchange;
};

/// What one tile of queries adds to dk and dv. Rows of its scores are keys.
template <int kDim, class Form>
__device__ __forceinline__ void add_query_tile(KeyShared<kDim>& shared, int first_key, int begin, int count,
                                               const Form& form, typename AttentionTile<kDim>::Sums& dk,
                                               typename AttentionTile<kDim>::Sums& dv) {
  using Tile = AttentionTile<kDim>;
  constexpr int kQueries = KeyShared<kDim>::kQueries;
  typename Tile::template Scores<kQueries> weights;
  typename Tile::template Scores<kQueries> gradients;
  multiply_rows<kDim, kQueries>(shared.k, shared.tile.q, weights);
  multiply_rows<kDim, kQueries>(shared.v, shared.tile.dout, gradients);
#pragma unroll
  for (int i = 0; i < Tile::kOwn; ++i) {
    const int key = first_key + own_row(i);
#pragma unroll
    for (int j = 0; j < kQueries / kSide; ++j) {
      const int query = thread_x() + kSide * j;
      differentiate(shared.tile.queries, sees(shared.tile.queries, begin, count, query, key), query,
                    form.of(weights[i][j], begin + query - key), weights[i][j], gradients[i][j]);
    }
  }
  add_products<kDim, kQueries>(weights, shared.tile.dout, shared.exchange, dv);
  add_products<kDim, kQueries>(gradients, shared.tile.q, shared.exchange, dk);
}

/// Block (sequence and key/value head, key tile), the tiles with the most queries first:
/// dk_j = Σ ds q, dv_j = Σ p dout.
template <int kDim, class Form>
__global__ void __launch_bounds__(kAttentionThreads, 2) key_value_kernel(AttentionBackward a) {
  using Tile = AttentionTile<kDim>;
  constexpr int kQueries = KeyShared<kDim>::kQueries;
  auto& shared = shared_memory<KeyShared<kDim>>();
  const std::int64_t kv_head = blockIdx.x % a.sizes.kv_heads;
  const std::int64_t sequence = blockIdx.x / a.sizes.kv_heads;
  const std::int64_t group = a.sizes.heads / a.sizes.kv_heads;
  const int length = static_cast<int>(a.sizes.length);
  const int first_key = static_cast<int>(blockIdx.y) * Tile::kRows;
  const int keys = length - first_key < Tile::kRows ? length - first_key : Tile::kRows;
  const HeadPlace first_place = place_of_head(a.sizes, sequence, kv_head * group);
  load_key_tile<kDim>(shared.k, a.k, a.sizes, first_place, first_key, keys);
  load_key_tile<kDim>(shared.v, a.v, a.sizes, first_place, first_key, keys);
  typename Tile::Sums dk;
  typename Tile::Sums dv;
  clear_sums<kDim>(dk);
  clear_sums<kDim>(dv);
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const HeadPlace place = place_of_head(a.sizes, sequence, head);
    const Form form(a.scores, a.sizes, head);
    for (int begin = first_key; begin < length; begin += kQueries) {
      // What the first query of a tile does not see, later ones do not either.
      if (a.first_visible[place.first_token + begin] >= first_key + keys) break;
      const int count = length - begin < kQueries ? length - begin : kQueries;
      __syncthreads();
      load_query_tile(shared.tile, a, place, begin, count);
      __syncthreads();
      add_query_tile<kDim>(shared, first_key, begin, count, form, dk, dv);
    }
  }
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  const std::int64_t token = sequence * length + first_key;
  store_rows<kDim>(dk, a.dk.row(token) + kv_head * head_dim, a.dk.stride, keys, head_dim);
  store_rows<kDim>(dv, a.dv.row(token) + kv_head * head_dim, a.dv.stride, keys, head_dim);
}

template <int kDim>
struct QueryShared {
  static constexpr int kRows = AttentionTile<kDim>::kRows;
  QueryTile<kDim, kRows> tile;
  typename AttentionTile<kDim>::template Rows<kRows> keys;  // rows of v, then of k
  typename AttentionTile<kDim>::Exchange exchange;
};

/// Block (sequence and head, query tile), the tiles with the most keys first: dq = Σ ds k_j. Rows of its
/// scores are queries.
template <int kDim, class Form>
__global__ void __launch_bounds__(kAttentionThreads, 2) query_kernel(AttentionBackward a) {
  using Tile = AttentionTile<kDim>;
  constexpr int kRows = Tile::kRows;
  auto& shared = shared_memory<QueryShared<kDim>>();
  const HeadPlace place = place_of_head(a.sizes, blockIdx.x / a.sizes.heads, blockIdx.x % a.sizes.heads);
  const int length = static_cast<int>(a.sizes.length);
  const int begin = static_cast<int>(gridDim.y - 1 - blockIdx.y) * kRows;
  const int count = length - begin < kRows ? length - begin : kRows;
  const Form form(a.scores, a.sizes, blockIdx.x % a.sizes.heads);
  load_query_tile(shared.tile, a, place, begin, count);
  typename Tile::Sums dq;
  clear_sums<kDim>(dq);
  for (int key = a.first_visible[place.first_token + begin] / kRows * kRows; key < begin + count;
       key += kRows) {
    const int keys = length - key < kRows ? length - key : kRows;
    typename Tile::template Scores<kRows> weights;
    typename Tile::template Scores<kRows> gradients;
    __syncthreads();
    load_key_tile<kDim>(shared.keys, a.v, a.sizes, place, key, keys);
    __syncthreads();
    multiply_rows<kDim, kRows>(shared.tile.dout, shared.keys, gradients);
    __syncthreads();
    load_key_tile<kDim>(shared.keys, a.k, a.sizes, place, key, keys);
    __syncthreads();
    multiply_rows<kDim, kRows>(shared.tile.q, shared.keys, weights);
#pragma unroll
    for (int i = 0; i < Tile::kOwn; ++i) {
#pragma unroll
      for (int j = 0; j < kRows / kSide; ++j) {
        const int position = key + thread_x() + kSide * j;
        const bool visible = sees(shared.tile.queries, begin, count, own_row(i), position);
        differentiate(shared.tile.queries, visible, own_row(i),
                      form.of(weights[i][j], begin + own_row(i) - position), weights[i][j], gradients[i][j]);
      }
    }
    add_products<kDim, kRows>(gradients, shared.keys, shared.exchange, dq);
  }
  store_rows<kDim>(dq, a.dq.row(place.first_token + begin) + place.q_column, a.dq.stride, count,
                   static_cast<int>(a.sizes.head_dim));
}

}  // namespace

void attention_backward(Stream stream, const AttentionBackward& arguments) {
  const AttentionSizes& sizes = arguments.sizes;
  constexpr int kDeltaThreads = 256;
  const dim3 delta_grid =
      grid_of(pieces_of(sizes.sequences * sizes.length * sizes.heads, kDeltaThreads / kWarp));
  launch(stream, delta_grid, kDeltaThreads, 0, "attention_delta", delta_kernel, arguments);
  if (arguments.sinks != nullptr) {
    launch(stream, grid_of(sizes.heads), kRowThreads, sizeof(SumShared), "attention_sinks", sink_kernel,
           arguments);
  }
  with_head_dim(sizes.head_dim, [&]<int kDim>() {
    with_score(arguments.scores, [&]<class Form>() {
      const std::int64_t tiles = pieces_of(sizes.length, AttentionTile<kDim>::kRows);
      launch(stream, grid_of(sizes.sequences * sizes.kv_heads, tiles), kAttentionThreads,
             sizeof(KeyShared<kDim>), "attention_backward_keys", key_value_kernel<kDim, Form>, arguments);
      launch(stream, grid_of(sizes.sequences * sizes.heads, tiles), kAttentionThreads,
             sizeof(QueryShared<kDim>), "attention_backward_queries", query_kernel<kDim, Form>, arguments);
    });
  });
}

}  // namespace troupe::cuda
