#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "coordinator/options.h"
#include "layout/options.h"

namespace troupe::coordinator {

/// What the worker job is started from.
struct JobOptions {
  std::string program;     // absolute path of `troupe`
  std::string run_folder;  // absolute
  std::int64_t workers = 1;
  std::int64_t threads = 1;
  layout::Backend backend = layout::Backend::kMpi;
  LaunchOptions launch;
  std::int64_t cores = 1;  // of this process's affinity mask
  bool is_root = false;
};

/// A command line, and what it adds to the environment.
struct JobCommand {
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment;
  int death_signal = 0;  // what the child gets when this process dies without ending it
  bool operator==(const JobCommand&) const = default;
};

/// `mpirun … troupe worker --run-dir D`, or `troupe worker --run-dir D` alone for the inproc backend: pure.
[[nodiscard]] JobCommand build_job_command(const JobOptions& options);

}  // namespace troupe::coordinator
