#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "cli/arguments/config_arguments.h"
#include "cli/arguments/config_paths.h"
#include "cli/arguments/path_option.h"
#include "cli/arguments/this_process.h"
#include "cli/run/launcher_hold.h"
#include "cli/run/preflight.h"
#include "cli/run/run_record.h"
#include "cli/run/training_run.h"
#include "cli/run/worker_hosts.h"
#include "cli/run/worker_process.h"
#include "cli/subcommands.h"
#include "comm/collectives/broadcast_text.h"
#include "comm/collectives/mpi/mpi_environment.h"
#include "configs/layout_choice.h"
#include "configs/load.h"
#include "configs/option_text.h"

namespace troupe::cli {
namespace {

struct TrainArguments {
  ConfigArguments config;
  std::optional<std::int64_t> workers;
  std::string run_folder;
  std::string resume = "auto";
  std::optional<std::string> init_from;
  std::optional<std::string> branch_from;
  std::vector<std::string> allowed_changes;
};

/// With what other arguments than --set say.
ConfigArguments all_settings(const TrainArguments& arguments) {
  ConfigArguments all = arguments.config;
  const auto& source = arguments.branch_from ? arguments.branch_from : arguments.init_from;
  if (source) all.overrides.push_back("init_from.checkpoint=" + configs::text_text(*source));
  if (arguments.branch_from) all.overrides.emplace_back("init_from.branch=true");
  if (arguments.workers) all.overrides.push_back("parallel.workers=" + std::to_string(*arguments.workers));
  return all;
}

configs::RunConfig load(const TrainArguments& arguments, const configs::Check& check) {
  const ConfigArguments all = all_settings(arguments);
  if (!all.path.empty()) return all.load(check);
  if (arguments.run_folder.empty()) {
    throw Error(ErrorCode::kConfig, "CONFIG is required, or the --run-dir of a run that is to go on");
  }
  configs::RunConfig config =
      load_recorded_config(arguments.run_folder, all.overrides, on_resolved_paths(check));
  resolve_paths(config);
  return config;
}

std::vector<configs::RuleProblem> supervised_problems(const configs::RunConfig& config) {
  auto problems = corpus_problems(config);
  std::ranges::move(page_problems(config), std::back_inserter(problems));
  std::ranges::move(launch_problems(config), std::back_inserter(problems));
  return problems;
}

RunRequest request_of(const TrainArguments& arguments, configs::RunConfig config,
                      const configs::LayoutChoice& layout) {
  config.parallel.workers = layout.workers;
  config.parallel.expert_parallel = layout.expert_parallel;
  return {.config = std::move(config),
          .run_folder = arguments.run_folder,
          .resume = parse_resume(arguments.resume),
          .allowed_changes = configs::parse_allowed_changes(arguments.allowed_changes),
          .under_mpi = comm::MpiEnvironment::launched_by_mpi()};
}

int train_supervised(const TrainArguments& arguments) {
  const configs::RunConfig config = load(arguments, supervised_problems);
  const configs::LayoutChoice layout = configs::choose_layout(config, usable_cores(config));
  TrainingRun run(request_of(arguments, config, layout));
  return run.run_supervised();
}

// ---- classic mode: one MPI job, rank 0 is the coordinator, the others are the workers ------------

constexpr char kRunFolderFollows = '+';  // then the job and the path; else rank 0's exit code
constexpr char kJobEnds = ' ';

/// The end of a rank whose job ends well. After the barrier nobody needs a held mpirun to wait any longer: it
/// kills whoever is left, if it was told to, and helps to end MPI in order, if it was not.
int leave(comm::Communicator& job, LauncherHold& launcher, int code) {
  job.barrier();
  launcher.release();
  return code;
}

[[noreturn]] void abort(LauncherHold& launcher, int code) {
  launcher.release();
  comm::MpiEnvironment::abort(code);
}

int classic_worker(comm::Communicator& job, std::unique_ptr<comm::Communicator> workers) {
  const std::string text = comm::broadcast_text(job, "", 0);
  if (text.empty() || text[0] != kRunFolderFollows) return std::stoi(text);  // rank 0 said why
  const std::size_t job_end = text.find(kJobEnds);
  const std::string token = text.substr(1, job_end - 1);
  const std::filesystem::path run_folder = text.substr(job_end + 1);
  const configs::RunConfig config = configs::load_config(run_folder / "config.yaml", {});
  std::vector<std::unique_ptr<comm::Communicator>> ranks;
  ranks.push_back(std::move(workers));
  LauncherHold launcher;
  const int code = run_worker_process(run_folder, config, std::move(ranks), token);
  if (code != kSuccess) abort(launcher, kFailure);  // as rank 0, whichever is first
  return leave(job, launcher, code);
}

configs::RunConfig load_classic(const TrainArguments& arguments, std::int64_t workers,
                                bool workers_elsewhere) {
  TrainArguments with_workers = arguments;
  if (arguments.workers && *arguments.workers != workers) {
    throw Error(ErrorCode::kConfig,
                "--workers {}: mpirun started {} processes, one coordinator and {} workers",
                *arguments.workers, workers + 1, workers);
  }
  with_workers.workers = workers;
  return load(with_workers, [&](const configs::RunConfig& config) {
    auto problems = corpus_problems(config);
    std::ranges::move(page_problems(config), std::back_inserter(problems));
    auto address = workers_elsewhere ? unreachable_address(config) : std::nullopt;
    if (address) problems.push_back(std::move(*address));
    return problems;
  });
}

int classic_coordinator(comm::Communicator& job, const TrainArguments& arguments, bool workers_elsewhere) {
  std::optional<TrainingRun> run;
  try {
    const configs::RunConfig config = load_classic(arguments, job.size() - 1, workers_elsewhere);
    RunRequest request = request_of(arguments, config, configs::choose_layout(config, available_cores()));
    request.workers_elsewhere = workers_elsewhere;
    run.emplace(std::move(request));
  } catch (const Error& error) {
    static_cast<void>(comm::broadcast_text(job, std::to_string(exit_code_of(error)), 0));
    throw;
  }
  static_cast<void>(
      comm::broadcast_text(job, kRunFolderFollows + run->job() + kJobEnds + run->folder().string(), 0));
  LauncherHold launcher;
  const ClassicEnd end = run->run_classic();
  if (!end.workers_leave) abort(launcher, end.exit_code);
  run.reset();
  return leave(job, launcher, end.exit_code);
}

int train_classic(const TrainArguments& arguments) {
  let_openmp_sleep();
  const comm::MpiEnvironment environment;
  if (environment.size() < 2) {
    throw Error(
        ErrorCode::kConfig,
        "under mpirun, rank 0 is the coordinator and the others are workers: start at least 2 processes, or "
        "run `troupe train` without mpirun");
  }
  const auto job = comm::make_mpi_communicator(environment);
  const bool coordinates = environment.rank() == 0;
  log::set_up(coordinates ? "coordinator" : "worker " + std::to_string(environment.rank() - 1));
  auto workers = job->split(coordinates ? 0 : 1, environment.rank());
  job->barrier();  // makes the connections that leave() uses, while mpirun can help
  const std::vector<int> hosts = job->hosts();
  const bool workers_elsewhere = std::ranges::any_of(hosts, [&](int host) { return host != hosts.front(); });
  try {
    return coordinates ? classic_coordinator(*job, arguments, workers_elsewhere)
                       : classic_worker(*job, std::move(workers));
  } catch (const Error& error) {  // caught here, so that MPI ends properly
    if (coordinates) log::error("{}", error.what());
    return exit_code_of(error);
  }
}

}  // namespace

void add_train(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<TrainArguments>();
  auto* subcommand = program.add_subcommand("train", "Train a model, or go on with a run that was stopped");
  arguments->config.add_to(*subcommand, /*is_required=*/false);
  subcommand->add_option("--workers", arguments->workers, "Workers; never changes a bit of the result");
  add_path(
      *subcommand, "--run-dir", arguments->run_folder,
      "Folder of the run; without it a new numbered one in run.dir. Without CONFIG, the run there goes on as "
      "it was");
  subcommand->add_option("--resume", arguments->resume,
                         "auto: from the newest checkpoint of the run, if any; never; or a step");
  subcommand
      ->add_option("--allow-change", arguments->allowed_changes,
                   "KEY,…: options, or groups, that a run goes on with at another value from here on")
      ->default_str("");
  auto* init_from =
      add_path(*subcommand, "--init-from", arguments->init_from,
               "A run, or a checkpoint: a new run begins with its weights; a model of other experts "
               "gets them copied, sliced or selected");
  add_path(
      *subcommand, "--from", arguments->branch_from,
      "A run, or a checkpoint: a new run goes on from all of its state, in a folder of its own; learning "
      "rate, schedule, steps and what else --allow-change takes may be others")
      ->excludes(init_from);
  subcommand->footer(
      "Examples:\n"
      "  troupe train configs/quickstart.yaml\n"
      "  troupe train configs/quickstart.yaml --workers 4 --set run.steps=500 --run-dir runs/longer\n"
      "  troupe train --run-dir runs/longer    go on with a run as it was\n"
      "  troupe train --run-dir runs/longer --set run.steps=900 --allow-change run.steps    make it longer\n"
      "  troupe train configs/quickstart.yaml --from runs/longer --set optimizer.lr=1e-3    a branch of it\n"
      "  troupe train moe.yaml --init-from runs/dense-1    experts that begin as a dense model's layers\n"
      "  mpirun -n 9 --hostfile hosts troupe train configs/quickstart.yaml    one coordinator, 8 workers\n"
      "Exit codes: 0 finished, 75 saved and can be started again, 1 failed, 2 wrong usage or configuration");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      return comm::MpiEnvironment::launched_by_mpi() ? train_classic(*arguments)
                                                     : train_supervised(*arguments);
    };
  });
}

}  // namespace troupe::cli
