#include "experts/router/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/index.h"

namespace troupe::experts {
namespace {

constexpr float kNormalizationEpsilon = 1e-20F;  // for scores that can all vanish (arXiv 2412.19437's code)

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

 private:
  [[nodiscard]] float sum_of(std::span<const float> scores, std::span<const std::int32_t> candidates) const {
    float sum = 0.0F;
    for (const std::int32_t choice : candidates) {
      if (choice >= 0) sum += scores[at(choice)];
    }
    return sum + epsilon_;
  }

  float scale_;
  float epsilon_;
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
  return std::make_unique<NormalizedScores>(scale,
                                            options.score == Score::kSoftmax ? 0.0F : kNormalizationEpsilon);
}

}  // namespace troupe::experts
