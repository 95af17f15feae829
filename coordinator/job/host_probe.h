#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "coordinator/options.h"

namespace troupe::coordinator {

/// What mpirun reaches other hosts with, a program and its arguments: `ssh`, or plm_rsh_agent of
/// launch.mpirun_args or of the environment.
[[nodiscard]] std::vector<std::string> remote_agent(const LaunchOptions& launch);

/// Which of `hosts` a command can be run on, in their order, found out by running `true` there, on all at the
/// same time: who has not done so within `limit` counts as gone. Blocks until then. The process must have no
/// other children. Throws kIo when the agent cannot be executed here.
[[nodiscard]] std::vector<bool> probe_hosts(const std::vector<std::string>& hosts,
                                            const std::vector<std::string>& agent,
                                            std::chrono::milliseconds limit);

}  // namespace troupe::coordinator
