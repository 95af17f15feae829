#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "data/preferences/pair_reader.h"
#include "model/model.h"

namespace troupe::workers {

/// A pair that was scored. sequence: where it lies, from the first that was asked for
using PairVisitor =
    std::function<void(const data::PlacedPair& pair, std::int64_t sequence, const model::PairScores& scores)>;

/// Lets a model read pairs of a file. Changes no training state. The references must outlive it. Collective
/// over the expert group: every method is called by all of it.
class PairScorer {
 public:
  PairScorer(model::Model& model, const data::TokenDataset& dataset, const data::PairOrder& order);

  /// Of sequences [first, first + count), at most a microbatch; none: the others' collectives are joined.
  /// Visits every pair in its place.
  void score(std::int64_t first, std::int64_t count, const PairVisitor& visit);
  /// Of the last score().
  [[nodiscard]] const layout::LoadStatistics& load() const { return result_.load; }

 private:
  model::Model& model_;
  data::PairReader reader_;
  model::MicrobatchResult result_;
  std::vector<std::int64_t> numbers_;
  std::vector<PreferencePair> pairs_;
  std::vector<model::PairScores> scores_;
};

}  // namespace troupe::workers
