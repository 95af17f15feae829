#pragma once
#include <filesystem>
#include <optional>

#include "data/batch_order.h"
#include "data/preferences/pair_order.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer.h"
#include "workers/preferences/pair_reference.h"
#include "workers/step/batch_loader.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// What is opened once per process and shared, read-only, by the loops of its ranks.
struct TrainingData {
  /// On the storage thread. Errors name the command that prepares a corpus.
  TrainingData(const std::filesystem::path& corpus, const TrainingOptions& options);

  data::TokenDataset train;
  data::TokenDataset heldout;
  data::Tokenizer tokenizer;
  std::optional<data::BatchOrder> order;  // of text; of preferences the next
  std::optional<data::PairOrder> pairs;
  std::optional<data::PairOrder> heldout_pairs;

  /// reference: of training's pairs, as BatchLoader takes it
  [[nodiscard]] BatchLoader loader(const TrainingOptions& options,
                                   const std::vector<model::PairScores>& reference) const;
  /// Of preferences.
  [[nodiscard]] PairFiles pair_files() const { return {{train, *pairs}, {heldout, *heldout_pairs}}; }
};

/// Throws kConfig unless a corpus is of the kind that an objective learns from.
void require_kind(const data::TokenDataset& dataset, const model::ObjectiveOptions& objective);

}  // namespace troupe::workers
