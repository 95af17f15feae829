#pragma once
#include <vector>

#include "configs/rules.h"

namespace troupe::configs {

/// What has no implementation on a device yet, with parallel.device: cuda. Part of validate(). Pure.
[[nodiscard]] std::vector<RuleProblem> device_problems(const RunConfig& config);

}  // namespace troupe::configs
