#pragma once
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace troupe::configs {

/// Options that differ from their default and do nothing, since another option silences them, each as a
/// sentence: "dashboard.port = 9000 has no effect with dashboard.enabled = false". Defaults are not
/// named: a file may spell all of them out. Pure.
[[nodiscard]] std::vector<std::string> silent_options(const RunConfig& config);

}  // namespace troupe::configs
