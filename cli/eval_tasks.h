#pragma once
#include <string>
#include <vector>

#include "cli/run/loaded_model.h"

namespace troupe::cli {

/// `troupe eval --tasks`: asks the model the questions of each file (docs/evaluation.md), and prints how many
/// it got right. Collective over the model's workers, one of which prints. Throws kConfig, kIo.
void evaluate_tasks(LoadedModel& model, const std::vector<std::string>& files, bool json);

}  // namespace troupe::cli
