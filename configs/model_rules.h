#pragma once
#include <vector>

#include "configs/rules.h"

namespace troupe::configs {

/// A model that can be computed: mixers and their layers, positions, norms, heads. Part of validate(). Pure.
[[nodiscard]] std::vector<RuleProblem> model_problems(const RunConfig& config);

}  // namespace troupe::configs
