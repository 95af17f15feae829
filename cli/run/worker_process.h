#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "comm/collectives/communicator.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// Runs this process's part of a run until its end: joins the coordinator whose contact is in the run
/// folder, trains, reports. One communicator per rank of this process: one with MPI, all of them with
/// the inproc backend, which get a compute thread each. Returns the process's exit code; a failure was
/// reported to the coordinator and logged then. job: see comm::JoinRequested
[[nodiscard]] int run_worker_process(const std::filesystem::path& run_folder,
                                     const configs::RunConfig& config,
                                     std::vector<std::unique_ptr<comm::Communicator>> ranks,
                                     const std::string& job);

}  // namespace troupe::cli
