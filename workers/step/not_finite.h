#pragma once
#include <string>
#include <vector>

#include "model/options.h"
#include "workers/step/step_result.h"

namespace troupe::workers {

/// What of a step is not finite, in words: losses, the first layer whose router saw it, and gradients, those
/// nearest to the loss first. Empty when all is.
///   gradients: names of the parameters whose gradients are not finite, ascending
[[nodiscard]] std::string not_finite(const StepResult& step, const std::vector<std::string>& gradients,
                                     const model::ModelOptions& options);

}  // namespace troupe::workers
