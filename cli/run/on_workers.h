#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <optional>

#include "comm/collectives/communicator.h"

namespace troupe::cli {

/// How many workers compute what a subcommand does.
struct WorkersRequest {
  std::optional<int> workers;  // none: what mpirun started, else one
  int threads = 1;             // of each

  /// --workers and --threads.
  void add_to(CLI::App& subcommand);
};

/// Calls `body` on every worker, with a communicator of all, and returns this one's exit code. Under mpirun
/// each process is a worker. Without it this process is the only one; where more are asked for, mpirun takes
/// its place, starts this command line that often on this machine, and the call does not return.
/// Nothing may have been read from stdin before. Throws kConfig when mpirun started another number.
///   check: called before mpirun is, with the number of workers: throws what each of them would
[[nodiscard]] int on_workers(const WorkersRequest& request, const std::function<void(int workers)>& check,
                             const std::function<int(comm::Communicator& world)>& body);

}  // namespace troupe::cli
