#pragma once
#include <span>

#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "layers/projection.h"
#include "model/preference.h"

namespace troupe::model {

/// One number for a text, read from its last token, and the loss of pairs of them.
class RewardHead {
 public:
  /// The weight begins at 0: every text has the reward 0, and a pair the loss ln 2.
  static void declare(layers::Declaration& declaration, std::int64_t hidden_size);

  /// The weight is [1, hidden].
  RewardHead(const ParameterTable& table, const std::string& name)
      : projection_(ParameterHandle(table, name)) {}

  /// x: [tokens, hidden]; scores: [pairs], rewards
  void score(const Pass& pass, ConstTensorView x, std::span<PairScores> scores) const;

  /// Overwrites dx: [tokens, hidden] and the weight's gradient with the gradient of  scale * Σ -log
  /// σ(margin).
  void forward_backward(const Pass& pass, ConstTensorView x, const ObjectiveOptions& objective, double scale,
                        std::span<PairScores> scores, TensorView dx) const;

 private:
  [[nodiscard]] TensorView last_tokens(const Pass& pass, ConstTensorView x) const;

  layers::Projection projection_;
};

}  // namespace troupe::model
