#pragma once
#include "coordinator/job/job_command.h"

namespace troupe::cli {

/// The same job with what this process and its machine say: cores, allocation, user, libraries.
[[nodiscard]] coordinator::JobOptions with_this_process(coordinator::JobOptions job);

}  // namespace troupe::cli
