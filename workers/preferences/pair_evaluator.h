#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "data/preferences/pair_order.h"
#include "workers/evaluator.h"
#include "workers/preferences/pair_scorer.h"

namespace troupe::workers {

/// Loss and accuracy on held-out pairs, by domain, of a model with an objective that compares. No training
/// state changes; the same bits for every layout. Collective over all workers.
class PairEvaluator {
 public:
  /// The references must outlive it. reference: of the file's pairs, at the first evaluation; empty: none is
  /// compared with (reward)
  PairEvaluator(model::Model& model, const data::TokenDataset& heldout, const data::PairOrder& order,
                const std::vector<model::PairScores>& reference);

  /// On the first `sequences` of the order's first epoch. Nothing once `interrupted` says so: it is asked
  /// before each microbatch, and all workers get the same answer.
  [[nodiscard]] std::optional<EvaluationResult> evaluate(std::int64_t sequences,
                                                         const Interrupted& interrupted);

 private:
  model::Model& model_;
  const data::TokenDataset& heldout_;
  const data::PairOrder& order_;
  const std::vector<model::PairScores>& reference_;
  PairScorer scorer_;
};

}  // namespace troupe::workers
