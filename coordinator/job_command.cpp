#include "coordinator/job_command.h"

#include <csignal>
#include <initializer_list>

namespace troupe::coordinator {
namespace {

using Arguments = std::vector<std::string>;

void append(Arguments& arguments, std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
}

// mpirun counts physical cores as slots and refuses more ranks than those; the number of workers is decided
// here, so that refusal would only be in the way. With a hostfile the slots are the user's own words.
// Spinning ranks that share a core with others make every exchange some hundred times slower, hence the
// yield.
void append_core_sharing(Arguments& arguments, const JobOptions& options) {
  if (!options.launch.hostfile) append(arguments, {"--oversubscribe"});
  if (options.workers * options.threads + 1 > options.cores)
    append(arguments, {"--mca", "mpi_yield_when_idle", "1"});
  append(arguments, {"--bind-to", "none"});
}

void append_network(Arguments& arguments, const LaunchOptions& launch) {
  if (launch.hostfile) append(arguments, {"--hostfile", *launch.hostfile});
  if (!launch.interface) return;
  append(arguments, {"--mca", "btl_tcp_if_include", *launch.interface});
  append(arguments, {"--mca", "oob_tcp_if_include", *launch.interface});
}

Arguments mpirun(const JobOptions& options, const JobCommand& command) {
  Arguments arguments{"mpirun", "-n", std::to_string(options.workers)};
  append_core_sharing(arguments, options);
  append_network(arguments, options.launch);
  for (const auto& [name, value] : command.environment) {
    if (name.starts_with("OMP_")) append(arguments, {"-x", name});  // to other hosts too
  }
  arguments.insert(arguments.end(), options.launch.mpirun_args.begin(), options.launch.mpirun_args.end());
  return arguments;
}

}  // namespace

JobCommand build_job_command(const JobOptions& options) {
  JobCommand command;
  command.environment = {{"OMP_NUM_THREADS", std::to_string(options.threads)},
                         {"OMP_WAIT_POLICY", "passive"}};
  command.death_signal = SIGKILL;
  if (options.backend == layout::Backend::kMpi) {
    command.death_signal =
        SIGTERM;  // mpirun then ends its ranks and removes its files; SIGKILL would leave those
    if (options.is_root) {
      command.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
      command.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    command.arguments = mpirun(options, command);
  }
  append(command.arguments, {options.program, "worker", "--run-dir", options.run_folder});
  return command;
}

}  // namespace troupe::coordinator
