#include "experts/router/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/index.h"

namespace troupe::experts {
namespace {

// For scores that can all vanish (arXiv 2412.19437's code).
constexpr float kNormalizationEpsilon = 1e-20F;

class SoftmaxOfChosen final : public Weighting {
 public:
  explicit SoftmaxOfChosen(float scale) : scale_(scale) {}

  void weigh(std::span<const float> logits, std::span<const float> /*scores*/,
             std::span<const std::int32_t> candidates, std::span<float> weights) const override {
    float largest = -std::numeric_limits<float>::infinity();
    for (const std::int32_t choice : candidates) {
      if (choice >= 0) largest = std::max(largest, logits[at(choice)]);
    }
    float sum = 0.0F;
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      weights[j] = candidates[j] >= 0 ? std::exp(logits[at(candidates[j])] - largest) : 0.0F;
      sum += weights[j];
    }
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      if (candidates[j] >= 0) weights[j] *= scale_ / sum;
    }
  }

  /// dz_j = w_j (dw_j - Σ dw w / scale)
  void add_gradient(std::span<const float> /*scores*/, const TokenChoice& choice,
                    std::span<const float> weights, std::span<const float> dweights,
                    std::span<float> /*dscores*/, std::span<float> dlogits) const override {
    float dot = 0.0F;
    for (std::size_t j = 0; j < weights.size(); ++j) {
      if (choice.chosen[j] >= 0) dot += dweights[j] * (weights[j] / scale_);
    }
    for (std::size_t j = 0; j < weights.size(); ++j) {
      if (choice.chosen[j] >= 0) dlogits[at(choice.chosen[j])] += weights[j] * (dweights[j] - dot);
    }
  }

 private:
  float scale_;
};

class NormalizedScores final : public Weighting {
 public:
  NormalizedScores(float scale, float epsilon) : scale_(scale), epsilon_(epsilon) {}

  void weigh(std::span<const float> /*logits*/, std::span<const float> scores,
             std::span<const std::int32_t> candidates, std::span<float> weights) const override {
    const float sum = sum_of(scores, candidates);
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      weights[j] = candidates[j] >= 0 ? scores[at(candidates[j])] / sum * scale_ : 0.0F;
    }
  }

  /// w_j = scale · s_j / (Σ s + ε): ds_j = scale / (Σ s + ε) (dw_j - Σ dw s / (Σ s + ε))
  void add_gradient(std::span<const float> scores, const TokenChoice& choice,
                    std::span<const float> /*weights*/, std::span<const float> dweights,
                    std::span<float> dscores, std::span<float> /*dlogits*/) const override {
    const float sum = sum_of(scores, choice.candidates);
    float dot = 0.0F;
    for (std::size_t j = 0; j < dweights.size(); ++j) {
      if (choice.chosen[j] >= 0) dot += dweights[j] * scores[at(choice.chosen[j])];
    }
    dot /= sum;
    for (std::size_t j = 0; j < dweights.size(); ++j) {
      if (choice.candidates[j] < 0) continue;
      const float dweight = choice.chosen[j] >= 0 ? dweights[j] : 0.0F;
      dscores[at(choice.candidates[j])] += scale_ / sum * (dweight - dot);
    }
  }

  [[nodiscard]] float sum_of(std::span<const float> scores, std::span<const std::int32_t> candidates) const {
    float sum = 0.0F;
    for (const std::int32_t choice : candidates) {
      if (choice >= 0) sum += scores[at(choice)];
    }
    return sum + epsilon_;
  }

 private:
  float scale_;
  float epsilon_;
};

/// scale · s / Σ s of softmax scores. Where a bias chooses experts whose scores all but vanish, the softmax
/// of their logits, which is the same.
class NormalizedSoftmax final : public Weighting {
 public:
  explicit NormalizedSoftmax(float scale) : by_scores_(scale, 0.0F), by_logits_(scale) {}

  void weigh(std::span<const float> logits, std::span<const float> scores,
             std::span<const std::int32_t> candidates, std::span<float> weights) const override {
    by(scores, candidates).weigh(logits, scores, candidates, weights);
  }

  void add_gradient(std::span<const float> scores, const TokenChoice& choice, std::span<const float> weights,
                    std::span<const float> dweights, std::span<float> dscores,
                    std::span<float> dlogits) const override {
    by(scores, choice.candidates).add_gradient(scores, choice, weights, dweights, dscores, dlogits);
  }

 private:
  [[nodiscard]] const Weighting& by(std::span<const float> scores,
                                    std::span<const std::int32_t> candidates) const {
    if (by_scores_.sum_of(scores, candidates) >= kNormalizationEpsilon) return by_scores_;
    return by_logits_;
  }

  NormalizedScores by_scores_;
  SoftmaxOfChosen by_logits_;
};

class PlainScores final : public Weighting {
 public:
  explicit PlainScores(float scale) : scale_(scale) {}

  void weigh(std::span<const float> /*logits*/, std::span<const float> scores,
             std::span<const std::int32_t> candidates, std::span<float> weights) const override {
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      weights[j] = candidates[j] >= 0 ? scores[at(candidates[j])] * scale_ : 0.0F;
    }
  }

  void add_gradient(std::span<const float> /*scores*/, const TokenChoice& choice,
                    std::span<const float> /*weights*/, std::span<const float> dweights,
                    std::span<float> dscores, std::span<float> /*dlogits*/) const override {
    for (std::size_t j = 0; j < dweights.size(); ++j) {
      if (choice.chosen[j] >= 0) dscores[at(choice.chosen[j])] += scale_ * dweights[j];
    }
  }

 private:
  float scale_;
};

}  // namespace

std::unique_ptr<Weighting> make_weighting(const RouterOptions& options) {
  const auto scale = static_cast<float>(options.scale);
  if (options.softmax_after_topk) return std::make_unique<SoftmaxOfChosen>(scale);
  if (!options.normalize_weights) return std::make_unique<PlainScores>(scale);
  if (options.score == Score::kSoftmax) return std::make_unique<NormalizedSoftmax>(scale);
  return std::make_unique<NormalizedScores>(scale, kNormalizationEpsilon);
}

}  // namespace troupe::experts
