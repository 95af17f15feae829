#pragma once
#include <vector>

#include "configs/rules.h"

namespace troupe::configs {

/// Experts that can be routed to and balanced. Part of validate(). Pure.
[[nodiscard]] std::vector<RuleProblem> expert_problems(const RunConfig& config);

}  // namespace troupe::configs
