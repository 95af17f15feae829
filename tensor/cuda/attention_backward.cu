#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/math.h"

namespace troupe::cuda {
namespace {

template <int kDim>
struct BackwardShared {
  typename AttentionTile<kDim>::Rows q;
  typename AttentionTile<kDim>::Rows dout;
  typename AttentionTile<kDim>::Rows k;
  typename AttentionTile<kDim>::Rows v;
  typename AttentionTile<kDim>::Square square;  // weights, then their gradients
  QueryRows<kDim> queries;
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

/// q, dout and what is known of the queries, of the tile at `begin`.
template <int kDim>
__device__ __forceinline__ void load_query_tile(BackwardShared<kDim>& shared, const AttentionBackward& a,
                                                const HeadPlace& place, int begin, int count) {
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  load_queries<kDim>(shared.queries, a.first_visible + place.first_token, a.log_sum_exp + place.statistics,
                     a.delta + place.statistics, begin, count);
  load_rows<kDim>(shared.q, a.q.row(place.first_token + begin) + place.q_column, a.q.stride, count, head_dim);
  load_rows<kDim>(shared.dout, a.dout.row(place.first_token + begin) + place.q_column, a.dout.stride, count,
                  head_dim);
}

template <int kDim>
__device__ __forceinline__ void load_key_tile(BackwardShared<kDim>& shared, const AttentionBackward& a,
                                              const HeadPlace& place, int begin, int count) {
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  load_rows<kDim>(shared.k, a.k.row(place.first_token + begin) + place.kv_column, a.k.stride, count,
                  head_dim);
  load_rows<kDim>(shared.v, a.v.row(place.first_token + begin) + place.kv_column, a.v.stride, count,
                  head_dim);
}

/// Score and <dout, v> of a pair → weight p and ds = p (<dout, v> - delta) scale; both 0 where the query does
/// not see the key.
template <int kDim>
__device__ __forceinline__ void differentiate(const QueryRows<kDim>& queries, bool visible, int query,
                                              float scale, float& score, float& product) {
  const float p = visible ? exp_of_non_positive(score * scale - queries.log_sum_exp[query]) : 0.0F;
  score = p;
  product = visible ? p * (product - queries.delta[query]) * scale : 0.0F;
}

/// Block (sequence and key/value head, key tile): dk_j = Σ ds q, dv_j = Σ p dout. Rows of its squares are
/// keys.
template <int kDim>
__global__ void __launch_bounds__(kAttentionThreads, 1) key_value_kernel(AttentionBackward a) {
  using Tile = AttentionTile<kDim>;
  auto& shared = shared_memory<BackwardShared<kDim>>();
  const std::int64_t kv_head = blockIdx.x % a.sizes.kv_heads;
  const std::int64_t sequence = blockIdx.x / a.sizes.kv_heads;
  const std::int64_t group = a.sizes.heads / a.sizes.kv_heads;
  const int length = static_cast<int>(a.sizes.length);
  const int first_key = static_cast<int>(blockIdx.y) * Tile::kRows;
  const int keys = length - first_key < Tile::kRows ? length - first_key : Tile::kRows;
  const float scale = scale_of(a.sizes);
  load_key_tile<kDim>(shared, a, place_of_head(a.sizes, sequence, kv_head * group), first_key, keys);
  typename Tile::Sums dk;
  typename Tile::Sums dv;
  clear_sums<kDim>(dk);
  clear_sums<kDim>(dv);
  for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const HeadPlace place = place_of_head(a.sizes, sequence, head);
    for (int begin = first_key; begin < length; begin += Tile::kRows) {
      // What the first query of a tile does not see, later ones do not either.
      if (a.first_visible[place.first_token + begin] >= first_key + keys) break;
      const int count = length - begin < Tile::kRows ? length - begin : Tile::kRows;
      __syncthreads();
      load_query_tile<kDim>(shared, a, place, begin, count);
      __syncthreads();
      typename Tile::Scores weights;
      typename Tile::Scores gradients;
      multiply_rows<kDim>(shared.k, shared.q, weights);
      multiply_rows<kDim>(shared.v, shared.dout, gradients);
#pragma unroll
      for (int i = 0; i < Tile::kOwn; ++i) {
        const int key = first_key + thread_y() * Tile::kOwn + i;
#pragma unroll
        for (int j = 0; j < Tile::kOwn; ++j) {
          const int query = thread_x() + kSide * j;
          differentiate<kDim>(shared.queries, sees<kDim>(shared.queries, begin, count, query, key), query,
                              scale, weights[i][j], gradients[i][j]);
        }
      }
      store_scores<kDim>(weights, shared.square);
      __syncthreads();
      add_products<kDim>(shared.square, shared.dout, dv);
      __syncthreads();
      store_scores<kDim>(gradients, shared.square);
      __syncthreads();
      add_products<kDim>(shared.square, shared.q, dk);
    }
  }
  const int head_dim = static_cast<int>(a.sizes.head_dim);
  const std::int64_t token = sequence * length + first_key;
  store_rows<kDim>(dk, a.dk.row(token) + kv_head * head_dim, a.dk.stride, keys, head_dim);
  store_rows<kDim>(dv, a.dv.row(token) + kv_head * head_dim, a.dv.stride, keys, head_dim);
}

/// Block (sequence and head, query tile): dq = Σ ds k_j. Rows of its squares are queries.
template <int kDim>
__global__ void __launch_bounds__(kAttentionThreads, 1) query_kernel(AttentionBackward a) {
  using Tile = AttentionTile<kDim>;
  auto& shared = shared_memory<BackwardShared<kDim>>();
  const HeadPlace place = place_of_head(a.sizes, blockIdx.x / a.sizes.heads, blockIdx.x % a.sizes.heads);
  const int length = static_cast<int>(a.sizes.length);
  const int begin = static_cast<int>(blockIdx.y) * Tile::kRows;
  const int count = length - begin < Tile::kRows ? length - begin : Tile::kRows;
  const float scale = scale_of(a.sizes);
  load_query_tile<kDim>(shared, a, place, begin, count);
  typename Tile::Sums dq;
  clear_sums<kDim>(dq);
  const int first_key = a.first_visible[place.first_token + begin] / Tile::kRows * Tile::kRows;
  for (int key = first_key; key < begin + count; key += Tile::kRows) {
    __syncthreads();
    load_key_tile<kDim>(shared, a, place, key, length - key < Tile::kRows ? length - key : Tile::kRows);
    __syncthreads();
    typename Tile::Scores weights;
    typename Tile::Scores gradients;
    multiply_rows<kDim>(shared.q, shared.k, weights);
    multiply_rows<kDim>(shared.dout, shared.v, gradients);
#pragma unroll
    for (int i = 0; i < Tile::kOwn; ++i) {
      const int query = thread_y() * Tile::kOwn + i;
#pragma unroll
      for (int j = 0; j < Tile::kOwn; ++j) {
        const bool visible = sees<kDim>(shared.queries, begin, count, query, key + thread_x() + kSide * j);
        differentiate<kDim>(shared.queries, visible, query, scale, weights[i][j], gradients[i][j]);
      }
    }
    store_scores<kDim>(gradients, shared.square);
    __syncthreads();
    add_products<kDim>(shared.square, shared.k, dq);
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
  with_head_dim(sizes.head_dim, [&]<int kDim>() {
    const std::int64_t tiles = pieces_of(sizes.length, AttentionTile<kDim>::kRows);
    launch(stream, grid_of(sizes.sequences * sizes.kv_heads, tiles), kAttentionThreads,
           sizeof(BackwardShared<kDim>), "attention_backward_keys", key_value_kernel<kDim>, arguments);
    launch(stream, grid_of(sizes.sequences * sizes.heads, tiles), kAttentionThreads,
           sizeof(BackwardShared<kDim>), "attention_backward_queries", query_kernel<kDim>, arguments);
  });
}

}  // namespace troupe::cuda
