#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/log.h"
#include "cli/arguments/this_process.h"
#include "cli/run/worker_process.h"
#include "cli/subcommands.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "comm/control/link/run_files.h"
#include "configs/load.h"

namespace troupe::cli {
namespace {

std::string job_of_environment() {
  const char* job = std::getenv(comm::kJobVariable);
  return job == nullptr ? "" : job;
}

int run_mpi_worker(const std::filesystem::path& run_folder, const configs::RunConfig& config) {
  const comm::MpiEnvironment environment;
  std::vector<std::unique_ptr<comm::Communicator>> ranks;
  ranks.push_back(comm::make_mpi_communicator(environment));
  const int code = run_worker_process(run_folder, config, std::move(ranks), job_of_environment());
  if (code != kSuccess) comm::MpiEnvironment::abort(code);  // its peers may wait for it for ever
  return code;
}

int run_worker(const std::filesystem::path& run_folder) {
  let_openmp_sleep();
  const configs::RunConfig config = configs::load_config(run_folder / "config.yaml", {});
  log::set_up("worker");
  if (config.parallel.backend == layout::Backend::kMpi) return run_mpi_worker(run_folder, config);
  return run_worker_process(run_folder, config,
                            comm::make_inproc_group(static_cast<int>(config.parallel.workers.value_or(1))),
                            job_of_environment());
}

}  // namespace

void add_worker(CLI::App& program, Action& action) {
  const auto run_folder = std::make_shared<std::string>();
  auto* subcommand = program.add_subcommand("worker", "One worker of a run; `troupe train` starts it");
  subcommand->add_option("--run-dir", *run_folder, "Folder of the run")->required();
  subcommand->footer(
      "Example:\n  mpirun -n 2 troupe worker --run-dir runs/quickstart-1   (as `troupe train` does)");
  subcommand->callback([run_folder, &action] { action = [run_folder] { return run_worker(*run_folder); }; });
}

}  // namespace troupe::cli
