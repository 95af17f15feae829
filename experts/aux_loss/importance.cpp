#include "experts/aux_loss/importance.h"

#include <algorithm>

#include "base/index.h"
#include "experts/aux_loss/squared_variation.h"
#include "experts/rows.h"

namespace troupe::experts {

ImportanceLoss::ImportanceLoss(std::int64_t choices) : gradient_(at(choices)), importance_(at(choices)) {}

double ImportanceLoss::value(const Pass& /*pass*/, const AuxInput& input) {
  std::ranges::fill(importance_, 0.0);
  const std::int32_t* chosen = input.routing.chosen.i32();
  const float* weights = input.routing.weights.f32();
  for (std::int64_t i = 0; i < input.routing.chosen.elements(); ++i) {
    if (chosen[i] >= 0) importance_[at(chosen[i])] += weights[i];
  }
  squared_variation_gradient(importance_, gradient_);
  return static_cast<double>(input.routing.scores.rows()) * squared_variation(importance_);
}

void ImportanceLoss::add_gradient(const Pass& pass, const AuxInput& input, double factor,
                                  const AuxGradients& gradients) const {
  const std::int64_t tokens = input.routing.scores.rows();
  const double scale = factor * static_cast<double>(tokens);
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t) {
    const auto chosen = ids(input.routing.chosen, token);
    const auto dweights = row(gradients.dweights, token);
    for (std::size_t j = 0; j < chosen.size(); ++j) {
      if (chosen[j] >= 0) dweights[j] += static_cast<float>(scale * gradient_[at(chosen[j])]);
    }
  });
}

}  // namespace troupe::experts
