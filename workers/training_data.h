#pragma once
#include <filesystem>

#include "data/batch_order.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// What is opened once per process and shared, read-only, by the loops of its ranks.
struct TrainingData {
  /// On the storage thread. Errors name the command that prepares a corpus.
  TrainingData(const std::filesystem::path& corpus, const TrainingOptions& options);

  data::TokenDataset train;
  data::TokenDataset heldout;
  data::Tokenizer tokenizer;
  data::BatchOrder order;
};

}  // namespace troupe::workers
