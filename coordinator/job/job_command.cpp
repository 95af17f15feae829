#include "coordinator/job/job_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/counted.h"
#include "comm/control/link/run_files.h"

namespace troupe::coordinator {
namespace {

using Arguments = std::vector<std::string>;

void append(Arguments& arguments, std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
}

/// Whether an argument is the option `name`, with one dash or two.
bool has_option(const Arguments& arguments, std::string_view name) {
  return std::ranges::any_of(arguments, [&](std::string_view argument) {
    argument.remove_prefix(std::min(argument.find_first_not_of('-'), argument.size()));
    return argument == name;
  });
}

bool places_workers(const Arguments& arguments) {
  constexpr std::array kOptions{"bind-to", "map-by", "rank-by", "cpu-set", "cpu-list", "rankfile", "rf"};
  return std::ranges::any_of(kOptions, [&](const char* name) { return has_option(arguments, name); });
}

/// Workers that share cores run faster where the kernel puts them: bound, they wait for the coordinator, and
/// for whatever else runs, while another core is free.
bool share_cores(const JobOptions& options, std::int64_t cores) {
  return options.workers * options.threads + 1 > cores;
}

/// That a worker is bound to: an equal share of the machine, so that its other threads (control, storage)
/// find room beside those that compute. 0: not bound.
std::int64_t cores_of_worker(const JobOptions& options) {
  const bool decided_elsewhere = options.launch.hostfile || places_workers(options.launch.mpirun_args);
  if (decided_elsewhere || share_cores(options, options.whole_cores)) return 0;
  return options.whole_cores / options.workers;
}

void append_binding(Arguments& arguments, const JobOptions& options) {
  if (has_option(options.launch.mpirun_args, "bind-to")) return;
  const std::int64_t cores = cores_of_worker(options);
  if (cores > 0) append(arguments, {"--map-by", fmt::format("slot:PE={}", cores)});
  append(arguments, {"--bind-to", cores > 0 ? "core" : "none"});
}

std::string describe_cores(std::int64_t worker, std::int64_t cores) {
  const std::int64_t first = worker * cores;
  if (cores == 1) return fmt::format("worker {} on core {}", worker, first);
  return fmt::format("worker {} on cores {}-{}", worker, first, first + cores - 1);
}

// mpirun counts physical cores as slots and refuses more ranks than those; the number of workers is decided
// here, so that refusal would only be in the way. With a hostfile the slots are the user's own words.
// Spinning ranks that share a core with others make every exchange some hundred times slower, hence the
// yield.
void append_core_sharing(Arguments& arguments, const JobOptions& options) {
  if (!options.launch.hostfile) append(arguments, {"--oversubscribe"});
  if (share_cores(options, options.cores)) append(arguments, {"--mca", "mpi_yield_when_idle", "1"});
}

/// All workers run on this machine, so that nobody else has a reason to reach them.
bool stay_here(const JobOptions& options) {
  const Arguments& arguments = options.launch.mpirun_args;
  return !options.launch.hostfile && !options.launch.interface && !options.is_allocated &&
         !names_hosts(arguments) && !has_option(arguments, "btl");
}

void append_network(Arguments& arguments, const JobOptions& options) {
  const LaunchOptions& launch = options.launch;
  if (stay_here(options))
    append(arguments, {"--mca", "btl", "self,vader", "--mca", "oob_tcp_if_include", "lo"});
  if (stay_here(options) && !options.files.empty())
    append(arguments, {"--mca", "orte_tmpdir_base", options.files});
  if (stay_here(options) && !options.shared_memory.empty())
    append(arguments, {"--mca", "btl_vader_backing_directory", options.shared_memory});
  if (launch.hostfile) append(arguments, {"--hostfile", *launch.hostfile});
  if (!launch.interface) return;
  append(arguments, {"--mca", "btl_tcp_if_include", *launch.interface});
  append(arguments, {"--mca", "oob_tcp_if_include", *launch.interface});
}

Arguments mpirun(const JobOptions& options, const Command& command) {
  Arguments arguments{"mpirun", "-n", std::to_string(options.workers)};
  append_core_sharing(arguments, options);
  append_binding(arguments, options);
  append_network(arguments, options);
  for (const auto& [name, value] : command.environment) {
    if (name.starts_with("OMP_")) append(arguments, {"-x", name});  // to other hosts too
  }
  if (!options.job.empty()) append(arguments, {"-x", comm::kJobVariable});  // not its value: all can read it
  arguments.insert(arguments.end(), options.launch.mpirun_args.begin(), options.launch.mpirun_args.end());
  return arguments;
}

}  // namespace

Command build_job_command(const JobOptions& options) {
  Command command;
  command.environment = {{"OMP_NUM_THREADS", std::to_string(options.threads)},
                         {"OMP_WAIT_POLICY", "passive"}};
  if (!options.job.empty()) command.environment[comm::kJobVariable] = options.job;
  command.end_signal = SIGKILL;
  if (options.backend == layout::Backend::kMpi) {
    // At SIGHUP mpirun ends its ranks and removes its files; SIGKILL would leave those. At SIGTERM it would
    // do the same within 2 s, also while ranks save because everything on the machine was sent one.
    command.end_signal = SIGHUP;
    command.blocked_signals = {SIGINT, SIGTERM};
    if (options.is_root) {
      command.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
      command.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    command.arguments = mpirun(options, command);
    if (stay_here(options) && !options.loopback_library.empty()) {
      command.environment["LD_PRELOAD"] =
          options.loopback_library + " " + options.preloaded;  // for mpirun alone
      append(command.arguments, {"-x", "LD_PRELOAD=" + options.preloaded});
    }
  }
  command.arguments.insert(command.arguments.end(), options.command.begin(), options.command.end());
  return command;
}

bool names_hosts(const std::vector<std::string>& mpirun_args) {
  constexpr std::array kOptions{"host", "H", "hostfile", "machinefile", "default-hostfile", "rankfile", "rf"};
  return std::ranges::any_of(kOptions, [&](const char* name) { return has_option(mpirun_args, name); });
}

std::string describe_binding(const JobOptions& options) {
  if (options.backend == layout::Backend::kInproc) {
    const bool has_own_cores = options.workers > 1 && options.workers * options.threads <= options.cores;
    return has_own_cores ? "one process, each worker's threads on cores of their own" : "none: one process";
  }
  if (places_workers(options.launch.mpirun_args)) return "as launch.mpirun_args say";
  if (options.launch.hostfile) return "none: on other hosts only as launch.mpirun_args say";
  if (options.whole_cores == 0) return "none: this process may not run on all cores of the machine";
  const std::int64_t cores = cores_of_worker(options);
  if (cores == 0) {
    return fmt::format("none: {} x {} and the coordinator share {}", counted(options.workers, "worker"),
                       counted(options.threads, "thread"), counted(options.whole_cores, "core"));
  }
  std::string text = describe_cores(0, cores);
  if (options.workers > 2) text += ", …";
  if (options.workers > 1) text += ", " + describe_cores(options.workers - 1, cores);
  return text;
}

}  // namespace troupe::coordinator
