#include "tensor/cuda/route.h"

#include "tensor/cuda/math.h"
#include "tensor/cuda/rows.h"

namespace troupe::cuda {
namespace {

constexpr int kNone = 0x7FFFFFFF;  // above every choice
constexpr float kLowest = -__builtin_huge_valf();

/// A warp per token; lane i holds the choices i, i + 32, …
template <int kPerLane>
struct Choices {
  float values[kPerLane];
};

/// Whether weights, and so their gradient, come from logits.
__device__ __forceinline__ bool are_of_logits(RouterWeights weights) {
  return weights == RouterWeights::kSoftmaxOfChosen || weights == RouterWeights::kNormalizedSoftmax;
}

__device__ __forceinline__ int choice_of(int index) { return lane_of_warp() + kWarp * index; }

template <int kPerLane>
__device__ __forceinline__ Choices<kPerLane> load_choices(const float* row, int count, float beyond) {
  Choices<kPerLane> choices;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    choices.values[i] = choice_of(i) < count ? row[choice_of(i)] : beyond;
  }
  return choices;
}

template <int kPerLane>
__device__ __forceinline__ float log_sum_exp(const Choices<kPerLane>& z) {
  float largest = kLowest;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) largest = larger(largest, z.values[i]);
  largest = warp_max(largest);
  float sum = 0.0F;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) sum += exp_of_non_positive(z.values[i] - largest);  // beyond: 0
  return largest + log_f32(warp_sum(sum));
}

__device__ __forceinline__ float score_of(RouterScore score, float z, float lse) {
  switch (score) {
    case RouterScore::kSoftmax:
      return exp_of_non_positive(z - lse);
    case RouterScore::kSigmoid:
      return sigmoid(z);
    case RouterScore::kSqrtSoftplus:
      break;
  }
  return sqrtf(softplus(z));
}

/// The best choice of the warp that is not taken yet: the largest value, then the lowest number. A kNone only
/// when all are taken.
template <int kPerLane>
__device__ __forceinline__ int best_choice(const Choices<kPerLane>& values, unsigned taken, int count) {
  float best = kLowest;
  int choice = kNone;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const bool free = choice_of(i) < count && (taken >> static_cast<unsigned>(i) & 1U) == 0;
    if (free && (choice == kNone || values.values[i] > best)) {
      best = values.values[i];
      choice = choice_of(i);
    }
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, distance);
    const int other_choice = __shfl_xor_sync(kAllLanes, choice, distance);
    if (other > best || (other == best && other_choice < choice)) {
      best = other;
      choice = other_choice;
    }
  }
  return choice;
}

/// The weight of the choice in this lane's slot; lanes without one hold -1. Sums are over all lanes.
__device__ __forceinline__ float weight_of(const RouterRule& rule, int choice, const float* logits,
                                           const float* scores) {
  const bool filled = choice >= 0;
  if (are_of_logits(rule.weights)) {
    const float z = filled ? logits[choice] : kLowest;
    const float largest = warp_max(z);
    const float e = filled ? exp_of_non_positive(z - largest) : 0.0F;
    return e * (rule.scale / warp_sum(e));
  }
  const float s = filled ? scores[choice] : 0.0F;
  if (rule.weights == RouterWeights::kPlainScores) return s * rule.scale;
  return s / (warp_sum(s) + rule.epsilon) * rule.scale;
}

/// A warp per token; lane s ends with slot s.
template <int kPerLane>
__global__ void __launch_bounds__(kRowThreads) forward_kernel(RouteForward a) {
  const std::int64_t token = global_warp();
  if (token >= a.logits.rows) return;
  const int count = static_cast<int>(a.logits.columns);
  const int slots = static_cast<int>(a.chosen.columns);
  Choices<kPerLane> values = load_choices<kPerLane>(a.logits.row(token), count, kLowest);
  const float lse = log_sum_exp(values);
  if (lane_of_warp() == 0) a.log_sum_exp[token] = lse;
  const bool by_logits = a.rule.weights == RouterWeights::kSoftmaxOfChosen;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    if (choice_of(i) >= count) continue;
    const float score = score_of(a.rule.score, values.values[i], lse);
    a.scores.row(token)[choice_of(i)] = score;
    const float value = (by_logits ? values.values[i] : score) + a.bias[choice_of(i)];
    values.values[i] = value == value ? value : kLowest;
  }
  __syncwarp();  // scores are read by other lanes
  unsigned taken = 0;
  int own = -1;
  for (int slot = 0; slot < slots; ++slot) {
    const int choice = best_choice<kPerLane>(values, taken, count);
    if (choice % kWarp == lane_of_warp()) taken |= 1U << static_cast<unsigned>(choice / kWarp);
    if (slot == lane_of_warp()) own = choice;
  }
  const float weight = weight_of(a.rule, own, a.logits.row(token), a.scores.row(token));
  if (lane_of_warp() >= slots) return;
  a.chosen.row(token)[lane_of_warp()] = own;
  a.weights.row(token)[lane_of_warp()] = weight;
}

constexpr std::int64_t kSlotsOfBlock = 16 * kRowThreads;

struct CountShared {
  std::int32_t counts[kMostChoices];
};

/// Adds how many slots hold each choice: first in the block's memory, since few addresses are hit by all.
__global__ void __launch_bounds__(kRowThreads)
    count_kernel(Matrix<const std::int32_t> chosen, std::int64_t choices, std::int32_t* counts) {
  auto& shared = shared_memory<CountShared>();
  for (std::int64_t c = threadIdx.x; c < choices; c += kRowThreads) shared.counts[c] = 0;
  __syncthreads();
  const std::int64_t begin = blockIdx.x * kSlotsOfBlock;
  const std::int64_t end = smaller(begin + kSlotsOfBlock, chosen.rows * chosen.columns);
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kRowThreads) {
    // Integers: in any order.
    atomicAdd(&shared.counts[chosen.row(i / chosen.columns)[i % chosen.columns]], 1);
  }
  __syncthreads();
  for (std::int64_t c = threadIdx.x; c < choices; c += kRowThreads) {
    if (shared.counts[c] > 0) atomicAdd(counts + c, shared.counts[c]);
  }
}

/// What a lane's slot adds to the gradient of its choice's score, or of its logit where weights come from
/// those.
__device__ __forceinline__ float slot_gradient(const RouterRule& rule, int choice, const float* scores,
                                               float weight, float dweight) {
  const bool filled = choice >= 0;
  if (are_of_logits(rule.weights)) {
    const float dot = warp_sum(filled ? dweight * (weight / rule.scale) : 0.0F);
    return weight * (dweight - dot);
  }
  if (rule.weights == RouterWeights::kPlainScores) return rule.scale * dweight;
  const float s = filled ? scores[choice] : 0.0F;
  const float sum = warp_sum(s) + rule.epsilon;
  const float dot = warp_sum(dweight * s) / sum;
  return rule.scale / sum * (dweight - dot);
}

/// dz of a score's gradient; dot: Σ ds s, of the softmax.
__device__ __forceinline__ float logit_gradient(RouterScore score, float z, float s, float ds, float dot) {
  switch (score) {
    case RouterScore::kSoftmax:
      return s * (ds - dot);
    case RouterScore::kSigmoid:
      return ds * (s * (1.0F - s));
    case RouterScore::kSqrtSoftplus:
      break;
  }
  return s == 0.0F ? 0.0F : ds * (sigmoid(z) / (2.0F * s));
}

/// A warp per token.
template <int kPerLane>
__global__ void __launch_bounds__(kRowThreads) backward_kernel(RouteBackward a) {
  const std::int64_t token = global_warp();
  if (token >= a.logits.rows) return;
  const int count = static_cast<int>(a.logits.columns);
  const int slots = static_cast<int>(a.chosen.columns);
  const bool has_slot = lane_of_warp() < slots;
  const int choice = has_slot ? a.chosen.row(token)[lane_of_warp()] : -1;
  const float own = slot_gradient(a.rule, choice, a.scores.row(token),
                                  choice >= 0 ? a.weights.row(token)[lane_of_warp()] : 0.0F,
                                  choice >= 0 ? a.dweights.row(token)[lane_of_warp()] : 0.0F);
  Choices<kPerLane> direct;  // from slots
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) direct.values[i] = 0.0F;
  for (int slot = 0; slot < slots; ++slot) {
    const int target = __shfl_sync(kAllLanes, choice, slot);
    const float gradient = __shfl_sync(kAllLanes, own, slot);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      if (target == choice_of(i)) direct.values[i] += gradient;
    }
  }
  const bool to_logits = are_of_logits(a.rule.weights);
  const auto ds_of = [&](int i) {
    const float other = a.dscores.data == nullptr ? 0.0F : a.dscores.row(token)[choice_of(i)];
    return to_logits ? other : other + direct.values[i];
  };
  float dot = 0.0F;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    if (choice_of(i) < count) dot = fmaf(ds_of(i), a.scores.row(token)[choice_of(i)], dot);
  }
  dot = warp_sum(dot);
  const float lse = a.log_sum_exp[token];
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    if (choice_of(i) >= count) continue;
    const float z = a.logits.row(token)[choice_of(i)];
    const float s = a.scores.row(token)[choice_of(i)];
    float dz = a.dlogits.row(token)[choice_of(i)];
    if (to_logits) dz += direct.values[i];
    dz += logit_gradient(a.rule.score, z, s, ds_of(i), dot);
    a.dlogits.row(token)[choice_of(i)] = fmaf(a.z_factor * lse, exp_of_non_positive(z - lse), dz);
  }
}

void check_sizes(std::int64_t choices, std::int64_t slots) {
  check_limit("the number of experts", choices, kMostChoices);
  check_limit("top_k", slots, smaller(kMostSlots, choices));
}

}  // namespace

void route_forward(Stream stream, const RouteForward& arguments) {
  check_sizes(arguments.logits.columns, arguments.chosen.columns);
  const std::int64_t choices = arguments.logits.columns;
  launch(stream, grid_of_warps(arguments.logits.rows), kRowThreads, 0, "route_forward",
         choices <= 64    ? forward_kernel<2>
         : choices <= 128 ? forward_kernel<4>
         : choices <= 256 ? forward_kernel<8>
                          : forward_kernel<32>,
         arguments);
  const Matrix<std::int32_t>& chosen = arguments.chosen;
  launch(stream, grid_of(pieces_of(chosen.rows * chosen.columns, kSlotsOfBlock)), kRowThreads,
         sizeof(CountShared), "route_count", count_kernel, chosen, choices, arguments.counts);
}

void route_backward(Stream stream, const RouteBackward& arguments) {
  check_sizes(arguments.logits.columns, arguments.chosen.columns);
  const std::int64_t choices = arguments.logits.columns;
  launch(stream, grid_of_warps(arguments.logits.rows), kRowThreads, 0, "route_backward",
         choices <= 64    ? backward_kernel<2>
         : choices <= 128 ? backward_kernel<4>
         : choices <= 256 ? backward_kernel<8>
                          : backward_kernel<32>,
         arguments);
}

}  // namespace troupe::cuda
