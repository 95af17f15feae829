#include "model/preference.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace troupe::model {

double margin_of(const ObjectiveOptions& objective, const PreferencePair& pair, const PairScores& scores) {
  const double difference = scores.chosen - scores.rejected;
  return objective.is_reward() ? difference : objective.beta * (difference - pair.reference);
}

PairLoss pair_loss(double margin) {
  const double small = std::exp(-std::abs(margin));  // never overflows
  const double of_positive = std::log1p(small);
  return {.loss = margin >= 0.0 ? of_positive : of_positive - margin,
          .slope = margin >= 0.0 ? -small / (1.0 + small) : -1.0 / (1.0 + small)};
}

void fill_pairs(const ObjectiveOptions& objective, std::span<const PreferencePair> pairs,
                std::span<const PairScores> scores, MicrobatchResult& result) {
  TROUPE_CHECK(scores.size() == pairs.size(), "scores of {} pairs for {}", scores.size(), pairs.size());
  result.nll = result.log_z_squared = result.margin = 0.0;
  result.preferred = 0;
  result.target_tokens = std::ssize(pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double margin = margin_of(objective, pairs[i], scores[i]);
    result.nll += pair_loss(margin).loss;
    result.margin += margin;
    result.preferred += margin > 0.0 ? 1 : 0;
  }
}

}  // namespace troupe::model
