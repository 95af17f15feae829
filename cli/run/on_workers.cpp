#include "cli/run/on_workers.h"

#include <string>
#include <utility>
#include <vector>

#include "base/child_process.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/arguments/this_process.h"
#include "cli/run/local_job.h"
#include "cli/subcommands.h"
#include "comm/collectives/inproc/inproc_communicator.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "coordinator/job/job_command.h"

namespace troupe::cli {
namespace {

/// What mpirun says of a rank that failed would only hide what the rank says.
constexpr const char* kQuiet = "--quiet";

[[noreturn]] void become_mpirun(int workers, int threads) {
  std::vector<std::string> command = command_line();
  command.front() = program_path();
  coordinator::LaunchOptions launch;
  launch.mpirun_args = {kQuiet};
  execute(coordinator::build_job_command(with_this_process(
      {.command = std::move(command), .workers = workers, .threads = threads, .launch = std::move(launch)})));
}

int as_mpi_worker(const WorkersRequest& request, const std::function<int(comm::Communicator&)>& body) {
  const comm::MpiEnvironment environment;
  const bool speaks = environment.rank() == 0;  // for all, of what all find
  if (request.workers.value_or(environment.size()) != environment.size()) {
    if (!speaks) return kUsage;
    throw Error(ErrorCode::kConfig, "--workers {}: mpirun started {} processes, each of which is a worker",
                *request.workers, environment.size());
  }
  if (environment.size() > 1) log::set_up("worker " + std::to_string(environment.rank()));
  if (!speaks) spdlog::set_level(spdlog::level::err);
  const auto world = comm::make_mpi_communicator(environment);
  return body(*world);
}

}  // namespace

void WorkersRequest::add_to(CLI::App& subcommand) {
  subcommand
      .add_option(
          "--workers", workers,
          "Processes on this machine, which share the model's experts; never changes a token. On others: "
          "mpirun")
      ->check(CLI::Range(1, 65536));
  subcommand.add_option("--threads", threads, "CPU threads of a worker")->check(CLI::Range(1, 1024));
}

int on_workers(const WorkersRequest& request, const std::function<void(int workers)>& check,
               const std::function<int(comm::Communicator& world)>& body) {
  if (comm::MpiEnvironment::launched_by_mpi()) return as_mpi_worker(request, body);
  if (request.workers.value_or(1) > 1) {
    check(*request.workers);
    become_mpirun(*request.workers, request.threads);
  }
  const auto world = std::move(comm::make_inproc_group(1).front());
  return body(*world);
}

}  // namespace troupe::cli
