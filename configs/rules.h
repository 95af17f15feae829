#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace troupe::configs {

/// An option that does not go with the others.
struct RuleProblem {
  std::string key;  // "model.moe.top_k"
  std::string message;
};

/// Every rule between options, and on single ones what a range cannot say. Pure.
[[nodiscard]] std::vector<RuleProblem> validate(const RunConfig& config);

/// What is allowed but seldom meant, each with its reason. Pure.
[[nodiscard]] std::vector<std::string> warnings(const RunConfig& config);

}  // namespace troupe::configs
