#pragma once
#include <cstdint>

#include "tensor/cuda/stream.h"
#include "tensor/cuda/views.h"

namespace troupe::cuda {

enum class RouterScore : std::int32_t { kSoftmax, kSigmoid, kSqrtSoftplus };
enum class RouterWeights : std::int32_t {
  kSoftmaxOfChosen,    // scale · softmax over the chosen logits; selection goes by logits
  kNormalizedScores,   // scale · s / (Σ s + epsilon)
  kPlainScores,        // scale · s
  kNormalizedSoftmax,  // scale · s / Σ s of softmax scores, which is the softmax over the chosen logits
};

/// What a router does for a token. Larger ones are refused by route().
struct RouterRule {
  RouterScore score;
  RouterWeights weights;
  float scale;
  float epsilon;
};
inline constexpr std::int64_t kMostChoices = 1024;
inline constexpr std::int64_t kMostSlots = 32;

/// logits → scores → top-k of value + bias (ties to the lower choice, NaN as -infinity) → weights, and how
/// many tokens chose each. Reference: experts/router (score.h, top_k.h, weights.h).
///   logits, scores: [tokens, choices]; bias: [choices]; chosen, weights: [tokens, top_k]
///   log_sum_exp: [tokens]; counts: [choices], added to
struct RouteForward {
  RouterRule rule;
  Matrix<const float> logits;
  const float* bias;
  Matrix<float> scores;
  float* log_sum_exp;
  Matrix<std::int32_t> chosen;
  Matrix<float> weights;
  std::int32_t* counts;
};
void route_forward(Stream stream, const RouteForward& arguments);

/// Gradient through weights and scores, and of z_factor / 2 * Σ_t log_sum_exp². A chosen of -1 is empty.
///   dweights: [tokens, top_k]; dscores: [tokens, choices], of other losses, zeros without data
///   dlogits: [tokens, choices], added to
struct RouteBackward {
  RouterRule rule;
  Matrix<const float> logits;
  Matrix<const float> scores;
  const float* log_sum_exp;
  Matrix<const std::int32_t> chosen;
  Matrix<const float> weights;
  Matrix<const float> dweights;
  Matrix<const float> dscores;
  float z_factor;
  Matrix<float> dlogits;
};
void route_backward(Stream stream, const RouteBackward& arguments);

}  // namespace troupe::cuda
