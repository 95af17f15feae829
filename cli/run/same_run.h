#pragma once
#include <optional>

#include "cli/run/training_setup.h"
#include "configs/change.h"
#include "configs/run_config.h"
#include "storage/checkpoint_reader.h"

namespace troupe::cli {

/// How a run is to go on from a checkpoint.
struct RunChange {
  const configs::RunConfig& config;
  const CorpusFacts& corpus;
  configs::AllowedChanges allowed;
  /// Of the run's folder: a change that it tells of was allowed before the first checkpoint with it.
  std::optional<configs::RunConfig> recorded = std::nullopt;
};

/// Throws kConfig, with every difference and what to do, unless the run is then the same one as the
/// checkpoint's, whose configuration was `saved`: another value of an option that is part of its meaning,
/// another tokenizer or another content of the corpus than it was trained on, fewer steps than it has,
/// another length of a warm-up that has begun, only because it is a part of the run's length. Allowed changes
/// are logged; another build is warned of.
void require_same_run(const storage::CheckpointReader& reader, const configs::RunConfig& saved,
                      const RunChange& change);

}  // namespace troupe::cli
