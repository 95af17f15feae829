#pragma once
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "base/child_process.h"
#include "coordinator/options.h"
#include "layout/options.h"

namespace troupe::coordinator {

/// What a job is started from.
struct JobOptions {
  std::vector<std::string> command;  // of every worker: absolute path of a program, its arguments
  std::int64_t workers = 1;
  std::int64_t threads = 1;
  layout::Backend backend = layout::Backend::kMpi;
  LaunchOptions launch;
  std::int64_t cores = 1;        // of this process's affinity mask
  std::int64_t whole_cores = 0;  // physical ones, when this process may run on all of its machine; else 0
  std::string job = {};          // given to every worker: see comm::JoinRequested
  std::string files = {};        // folders for what MPI keeps, of this job alone; empty: MPI chooses
  std::string shared_memory = {};
  bool is_root = false;
  bool is_allocated = false;          // a batch system names the hosts, and mpirun asks it
  std::string loopback_library = {};  // see loopback/; empty: there is none
  std::string preloaded = {};         // LD_PRELOAD of this process, which is the workers' too
};

/// `mpirun … <command>`, or <command> alone for the inproc backend: pure.
[[nodiscard]] Command build_job_command(const JobOptions& options);

/// Whether arguments of mpirun say on which hosts the workers run.
[[nodiscard]] bool names_hosts(const std::vector<std::string>& mpirun_args);

/// Which cores mpirun is told to run the workers on, for people: "worker 0 on cores 0-3, worker 1 on cores
/// 4-7", or why they are not bound. Pure.
[[nodiscard]] std::string describe_binding(const JobOptions& options);

}  // namespace troupe::coordinator
