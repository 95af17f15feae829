#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "cli/run/training_setup.h"
#include "configs/run_config.h"
#include "workers/init_from/initialize_from.h"

namespace troupe::cli {

/// The checkpoint that `init_from` names, with the configuration it was trained with; none when the run
/// begins with initial values. Throws kConfig, kCorrupt.
[[nodiscard]] std::optional<workers::InitialWeights> initial_weights(const configs::RunConfig& config);

/// Throws kConfig, before anything of a run is started, when `init_from` does not fit the model or has
/// another tokenizer than the corpus.
void require_fitting_weights(const configs::RunConfig& config, const CorpusFacts& corpus);

/// What a run's folder says about its beginning: `config` as asked for, with `init_from` as one checkpoint's
/// absolute folder, or as `recorded` in the folder when the run goes on.
void resolve_init_from(configs::RunConfig& config, const std::optional<configs::RunConfig>& recorded);

}  // namespace troupe::cli
