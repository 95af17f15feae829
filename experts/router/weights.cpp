#include "experts/router/weights.h"

#include <cmath>

#include "experts/router/score.h"

namespace troupe::experts {
namespace {

constexpr float kSigmoidEpsilon = 1e-20F;  // of normalised sigmoid weights (arXiv 2412.19437's code)

float epsilon(const RouterOptions& options) {
  return options.score == Score::kSigmoid ? kSigmoidEpsilon : 0.0F;
}

}  // namespace

void weigh(const RouterOptions& options, std::span<const float> logits, std::span<const float> scores,
           std::span<const std::int32_t> chosen, std::span<float> weights) {
  const auto scale = static_cast<float>(options.scale);
  const auto& values = options.softmax_after_topk ? logits : scores;
  for (std::size_t j = 0; j < chosen.size(); ++j) weights[j] = values[static_cast<std::size_t>(chosen[j])];
  if (options.softmax_after_topk) {
    const float lse = log_sum_exp(weights);
    for (float& weight : weights) weight = std::exp(weight - lse);
  } else if (options.normalize_weights) {
    float sum = 0.0F;
    for (const float weight : weights) sum += weight;
    sum += epsilon(options);
    for (float& weight : weights) weight /= sum;
  }
  for (float& weight : weights) weight *= scale;
}

void add_weight_gradient(const RouterOptions& options, std::span<const float> scores,
                         std::span<const std::int32_t> chosen, std::span<const float> weights,
                         std::span<const float> dweights, std::span<float> dscores,
                         std::span<float> dlogits) {
  const auto scale = static_cast<float>(options.scale);
  float dot = 0.0F;
  if (options.softmax_after_topk) {  // w = scale · softmax: w_j (dw_j - Σ dw w / scale)
    for (std::size_t j = 0; j < chosen.size(); ++j) dot += dweights[j] * (weights[j] / scale);
    for (std::size_t j = 0; j < chosen.size(); ++j) {
      dlogits[static_cast<std::size_t>(chosen[j])] += weights[j] * (dweights[j] - dot);
    }
    return;
  }
  float sum = 1.0F;
  if (options.normalize_weights) {  // w_j = scale · s_j / (Σ s + ε)
    sum = epsilon(options);
    for (const std::int32_t expert : chosen) sum += scores[static_cast<std::size_t>(expert)];
    for (std::size_t j = 0; j < chosen.size(); ++j)
      dot += dweights[j] * scores[static_cast<std::size_t>(chosen[j])];
    dot /= sum;
  }
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    dscores[static_cast<std::size_t>(chosen[j])] += scale / sum * (dweights[j] - dot);
  }
}

}  // namespace troupe::experts
