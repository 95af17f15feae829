#include "cli/run/local_job.h"

#include "cli/arguments/this_process.h"

namespace troupe::cli {

coordinator::JobOptions with_this_process(coordinator::JobOptions job) {
  job.cores = available_cores();
  job.whole_cores = whole_cores();
  job.is_root = runs_as_root();
  job.is_allocated = has_allocation();
  job.loopback_library = loopback_library();
  job.preloaded = preloaded_libraries();
  return job;
}

}  // namespace troupe::cli
