#pragma once
#include <filesystem>

#include "configs/run_config.h"
#include "data/corpus_identity.h"
#include "layout/layout.h"
#include "workers/training_loop.h"

namespace troupe::cli {

/// A module's view of a run's configuration.
[[nodiscard]] layout::BatchShape batch_shape(const configs::RunConfig& config);
[[nodiscard]] workers::TrainingOptions training_options(const configs::RunConfig& config,
                                                        std::int64_t vocab_size);
[[nodiscard]] workers::EventOptions event_options(const configs::RunConfig& config);
[[nodiscard]] workers::RoutingFolders routing_folders(const configs::RunConfig& config,
                                                      const std::filesystem::path& run_folder);

/// What the corpus says: rows of the embedding for `model.vocab_size: auto`, and the tokenizer's hash.
struct CorpusFacts {
  std::int64_t vocab_size = 0;  // as configured, or the tokenizer's, padded to a multiple of 128
  std::string tokenizer_hash;
  std::vector<std::string> domains;  // names
  data::CorpusIdentity identity;
};
/// Throws kConfig when the corpus is missing (naming the command that prepares it), or has more tokens
/// than a configured vocab_size.
[[nodiscard]] CorpusFacts read_corpus_facts(const configs::RunConfig& config);

}  // namespace troupe::cli
