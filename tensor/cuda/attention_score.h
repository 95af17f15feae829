#pragma once
#include "tensor/cuda/attention.h"
#include "tensor/cuda/math.h"

/// How a product <q, k> becomes what the softmax sees. Kernels are made for each form, so that the usual one
/// pays nothing for the others.
namespace troupe::cuda {

struct Score {
  float value;
  float slope;  // by the product
};

/// A factor.
struct PlainScore {
  float scale;

  __device__ __forceinline__ PlainScore(const AttentionScores& scores, const AttentionSizes& sizes,
                                        std::int64_t /*head*/)
      : scale(scores.scale > 0.0F ? scores.scale : 1.0F / sqrtf(static_cast<float>(sizes.head_dim))) {}

  /// distance: positions from the key to the query
  __device__ __forceinline__ Score of(float product, int /*distance*/) const {
    return {product * scale, scale};
  }
};

/// As ops::alibi_slope().
__device__ __forceinline__ float alibi_slope(std::int64_t head, std::int64_t heads) {
  constexpr float kLn2 = 0.693147181F;
  std::int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const auto number = static_cast<float>(head < power ? 2 * (head + 1) : 2 * (head - power) + 1);
  return exp_of_non_positive(-4.0F * kLn2 * number / static_cast<float>(power));
}

/// A factor, then a soft cap, then what distance takes away: each where there is one.
struct BentScore {
  PlainScore plain;
  float softcap;
  float fall;

  __device__ __forceinline__ BentScore(const AttentionScores& scores, const AttentionSizes& sizes,
                                       std::int64_t head)
      : plain(scores, sizes, head),
        softcap(scores.softcap),
        fall(scores.alibi ? alibi_slope(head, sizes.heads) : 0.0F) {}

  __device__ __forceinline__ Score of(float product, int distance) const {
    Score score = plain.of(product, distance);
    if (softcap > 0.0F) {
      const float bent = tanh_f32(score.value / softcap);
      score = {softcap * bent, score.slope * fmaf(-bent, bent, 1.0F)};
    }
    score.value = fmaf(-fall, static_cast<float>(distance), score.value);
    return score;
  }
};

/// Calls launch_for.template operator()<Score>().
template <class LaunchFor>
void with_score(const AttentionScores& scores, const LaunchFor& launch_for) {
  if (scores.softcap > 0.0F || scores.alibi) {
    launch_for.template operator()<BentScore>();
  } else {
    launch_for.template operator()<PlainScore>();
  }
}

}  // namespace troupe::cuda
