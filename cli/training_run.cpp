#include "cli/training_run.h"

#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/initial_weights.h"
#include "cli/metrics_observer.h"
#include "cli/run_description.h"
#include "cli/terminal/terminal.h"
#include "cli/this_process.h"
#include "cli/training_setup.h"
#include "configs/identity.h"
#include "configs/load.h"
#include "coordinator/checkpoints/store_commits.h"
#include "coordinator/coordinator.h"
#include "coordinator/run/load_monitor.h"
#include "coordinator/run/metrics_history.h"
#include "coordinator/run/observer_list.h"
#include "dashboard/http_server.h"
#include "storage/checkpoint_store.h"

namespace troupe::cli {
namespace {

coordinator::RunFolder open_folder(const RunRequest& request) {
  if (!request.run_folder.empty()) return coordinator::RunFolder::open(request.run_folder);
  return coordinator::RunFolder::create_numbered(request.config.run.dir, request.config.run.name);
}

storage::CheckpointMetadata metadata_of(const configs::RunConfig& config, const StartPoint& start,
                                        const CorpusFacts& corpus) {
  storage::CheckpointMetadata metadata;
  metadata.timeline = start.timeline;
  metadata.workers = *config.parallel.workers;
  metadata.expert_parallel = *config.parallel.expert_parallel;
  metadata.config_hash = configs::config_hash(config);
  metadata.tokenizer_hash = corpus.tokenizer_hash;
  metadata.config = configs::dump(config);
  return metadata;
}

/// Removes a folder that was made for this run, unless the run came to begin.
class NewFolderGuard {
 public:
  NewFolderGuard(bool is_new, std::filesystem::path folder)
      : folder_(is_new ? std::move(folder) : std::filesystem::path()) {}
  ~NewFolderGuard() {
    std::error_code ignored;  // leaving an empty folder behind is no failure
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }
  NewFolderGuard(const NewFolderGuard&) = delete;
  NewFolderGuard& operator=(const NewFolderGuard&) = delete;
  void keep() { folder_.clear(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace

class TrainingRun::Implementation {
 public:
  explicit Implementation(RunRequest request)
      : request_(std::move(request)),
        corpus_(read_corpus_facts(request_.config)),
        hub_({.name = request_.config.run.name,
              .folder = {},
              .steps = request_.config.run.steps,
              .workers = *request_.config.parallel.workers,
              .epoch = 0,
              .domains = corpus_.domains}),
        terminal_(std::cout, request_.under_mpi ? TerminalOptions() : TerminalOptions::detect(stdout),
                  clock_) {
    if (request_.config.dashboard.enabled) {
      server_.emplace(request_.config.dashboard, request_.config.metrics.per_expert,
                      dashboard::HubList{&hub_});
    }
    const bool is_new = request_.run_folder.empty() || !std::filesystem::exists(request_.run_folder);
    folder_.emplace(open_folder(request_));
    NewFolderGuard guard(is_new, folder_->path());
    prepare_folder();
    guard.keep();
  }

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_->path(); }

  int run_supervised() { return conclude(coordinator_->run_supervised(job_options())); }

  int run_classic() { return conclude(coordinator_->run_classic()); }

 private:
  [[nodiscard]] coordinator::JobOptions job_options() const {
    const configs::RunConfig& config = request_.config;
    return {.command = {program_path(), "worker", "--run-dir", folder_->path().string()},
            .workers = *config.parallel.workers,
            .threads = config.parallel.threads,
            .backend = config.parallel.backend,
            .launch = config.launch,
            .cores = available_cores(),
            .whole_cores = whole_cores(),
            .is_root = runs_as_root()};
  }

  void prepare_folder() {
    log::set_up("coordinator", folder_->logs() / "coordinator.log");
    storage::CheckpointStore store(folder_->checkpoints());
    store.recover();
    start_ = choose_start(store, folder_->config_file(), request_.resume, request_.config, corpus_);
    if (start_.checkpoint.empty()) require_fitting_weights(request_.config, corpus_);
    commits_.emplace(std::move(store), request_.config.checkpoint,
                     metadata_of(request_.config, start_, corpus_));
    folder_->write_config(configs::dump(request_.config));
    folder_->cut_metrics(start_.checkpoint.empty() ? -1 : start_.step);
    metrics_file_.emplace(folder_->metrics_file());
    metrics_.emplace(hub_, *metrics_file_, folder_->path() / "samples.txt", clock_);
    observers_.emplace(std::vector<coordinator::RunObserver*>{&terminal_, &*metrics_});
    hub_.set_folder(folder_->path().string());
    coordinator_.emplace(coordinator_options(), *folder_, *commits_, *observers_);
    print_start();
  }

  [[nodiscard]] coordinator::CoordinatorOptions coordinator_options() const {
    const configs::RunConfig& config = request_.config;
    return {.workers = *config.parallel.workers,
            .schedule = {.run = config.run,
                         .evaluation = config.evaluation,
                         .sampling = config.sampling,
                         .checkpoint = config.checkpoint},
            .control = config.control,
            .checkpoint = start_.checkpoint,
            .first_step = start_.step,
            .history = coordinator::read_recent_loads(folder_->metrics_file(),
                                                      coordinator::LoadMonitor::kDeadWindow)};
  }

  void print_start() {
    const configs::RunConfig& config = request_.config;
    const RunDescription run = describe_run(config, corpus_.vocab_size, available_cores());
    SummaryLines lines{
        {"model", fmt::format("{:.2f} M parameters, {:.2f} M active per token",
                              1e-6 * static_cast<double>(run.parameters.total),
                              1e-6 * static_cast<double>(run.parameters.active))},
        {"layout", fmt::format("{} workers x {} threads ({}), expert_parallel {}, {} lanes in {} turns",
                               run.layout.workers, config.parallel.threads,
                               config.parallel.backend == layout::Backend::kMpi ? "mpi" : "inproc",
                               run.layout.expert_parallel, config.batch.grad_lanes, run.turns)},
        {"binding", request_.under_mpi ? "as mpirun was told" : coordinator::describe_binding(job_options())},
        {"steps", start_.checkpoint.empty()
                      ? fmt::format("{} of {} tokens", config.run.steps, run.tokens_per_step)
                      : fmt::format("{} to {} of {} tokens, from {}", start_.step, config.run.steps,
                                    run.tokens_per_step, start_.checkpoint)},
        {"folder", folder_->path().string()},
    };
    if (start_.checkpoint.empty() && config.init_from.checkpoint)
      lines.emplace_back("weights", "from " + *config.init_from.checkpoint);
    if (server_) lines.emplace_back("dashboard", server_->url());
    terminal_.print_start(config.run.name, lines);
  }

  int conclude(const coordinator::RunOutcome& outcome) {
    const std::string program = "troupe";
    std::string next;
    if (outcome.result == coordinator::RunResult::kFinished) {
      next = fmt::format("{} generate {} --prompt \"The\"", program, folder_->path().string());
    } else if (outcome.result == coordinator::RunResult::kStopped) {
      next = fmt::format("{} train {} --run-dir {}", program, request_.config_path, folder_->path().string());
    }
    terminal_.print_end(outcome, {{"folder", folder_->path().string()}}, next);
    return exit_code(outcome);
  }

  RunRequest request_;
  SystemClock clock_;
  CorpusFacts corpus_;
  dashboard::MetricsHub hub_;
  Terminal terminal_;
  std::optional<dashboard::HttpServer> server_;
  std::optional<coordinator::RunFolder> folder_;
  StartPoint start_;
  std::optional<coordinator::StoreCommits> commits_;
  std::optional<dashboard::JsonlSink> metrics_file_;
  std::optional<MetricsObserver> metrics_;
  std::optional<coordinator::ObserverList> observers_;
  std::optional<coordinator::Coordinator> coordinator_;
};

TrainingRun::TrainingRun(RunRequest request)
    : implementation_(std::make_unique<Implementation>(std::move(request))) {}
TrainingRun::~TrainingRun() = default;
const std::filesystem::path& TrainingRun::folder() const { return implementation_->folder(); }
int TrainingRun::run_supervised() { return implementation_->run_supervised(); }
int TrainingRun::run_classic() { return implementation_->run_classic(); }

}  // namespace troupe::cli
