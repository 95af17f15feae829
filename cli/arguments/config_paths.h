#pragma once
#include "configs/run_config.h"

namespace troupe::cli {

/// Makes the configuration's paths mean the same in every folder and process: absolute, `~` resolved. Throws
/// kConfig as user_path does. `init_from.checkpoint` is resolved where the run's record is known.
void resolve_paths(configs::RunConfig& config);

}  // namespace troupe::cli
