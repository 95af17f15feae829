#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "experts/options.h"

namespace troupe::experts {

/// One token's choice. A slot of -1 is empty: it weighs 0 and nothing is read for it.
struct TokenChoice {
  std::span<const std::int32_t> candidates;  // [slots], what weights are normalised over
  std::span<const std::int32_t> chosen;      // [slots], candidates or -1
};

/// The weights of a token's chosen experts, and their gradient. One per router, chosen once.
class Weighting {
 public:
  virtual ~Weighting() = default;

  /// Of the candidates. logits, scores: [choices]; candidates, weights: [slots]
  virtual void weigh(std::span<const float> logits, std::span<const float> scores,
                     std::span<const std::int32_t> candidates, std::span<float> weights) const = 0;

  /// Adds to dscores or dlogits, [choices]. weights, dweights: [slots]
  virtual void add_gradient(std::span<const float> scores, const TokenChoice& choice,
                            std::span<const float> weights, std::span<const float> dweights,
                            std::span<float> dscores, std::span<float> dlogits) const = 0;
};

/// scale · softmax over the chosen logits (softmax_after_topk), scale · s / Σ s (normalize_weights), or
/// scale · s.
[[nodiscard]] std::unique_ptr<Weighting> make_weighting(const RouterOptions& options);

}  // namespace troupe::experts
