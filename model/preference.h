#pragma once
#include <span>

#include "layers/microbatch.h"
#include "model/microbatch.h"
#include "model/options.h"

namespace troupe::model {

/// What a model thinks of the two halves of a pair: log-probabilities of the trained tokens, or rewards.
struct PairScores {
  double chosen = 0.0;
  double rejected = 0.0;
};

/// By how much the chosen half is preferred.
///   dpo: beta * ((chosen - rejected) - reference)  (arXiv 2305.18290, eq. 7);  reward: chosen - rejected
[[nodiscard]] double margin_of(const ObjectiveOptions& objective, const PreferencePair& pair,
                               const PairScores& scores);

/// -log σ(margin), ln 2 at 0, and its derivative, -σ(-margin).
struct PairLoss {
  double loss = 0.0;
  double slope = 0.0;
};
[[nodiscard]] PairLoss pair_loss(double margin);

/// Fills nll, target_tokens, margin and preferred of result.  scores: [pairs]
void fill_pairs(const ObjectiveOptions& objective, std::span<const PreferencePair> pairs,
                std::span<const PairScores> scores, MicrobatchResult& result);

}  // namespace troupe::model
