#include "cli/training_run.h"

#include <charconv>
#include <iostream>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "cli/config_arguments.h"
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
#include "coordinator/run/observer_list.h"
#include "dashboard/http_server.h"
#include "storage/checkpoint_store.h"
#include "tensor/ops/numerics_fingerprint.h"

namespace troupe::cli {
namespace {

/// The checkpoint that a run begins from.
struct StartPoint {
  std::string checkpoint;  // absolute folder; empty: initial values
  std::int64_t step = 0;
  std::int64_t timeline = 0;
};

coordinator::RunFolder open_folder(const RunRequest& request) {
  if (!request.run_folder.empty()) return coordinator::RunFolder::open(request.run_folder);
  return coordinator::RunFolder::create_numbered(request.config.run.dir, request.config.run.name);
}

// A run goes on only as the same run.
void require_same_meaning(const configs::RunConfig& config, const storage::CheckpointReader& reader) {
  const auto& metadata = reader.manifest().metadata;
  if (metadata.config_hash == configs::config_hash(config)) return;
  const configs::RunConfig saved = configs::parse_config(metadata.config, reader.folder().string(), {});
  std::string list;
  for (const auto& difference : configs::differences(saved, config)) {
    list += fmt::format("\n  {}: {} in the checkpoint, {} now", difference.key, difference.first,
                        difference.second);
  }
  throw Error(ErrorCode::kConfig,
              "{} is a checkpoint of another configuration:{}\nuse the same values, or another --run-dir",
              reader.folder().string(), list);
}

StartPoint choose_start(const storage::CheckpointStore& store, const Resume& resume,
                        const configs::RunConfig& config, const std::string& tokenizer_hash) {
  const auto all = store.list();
  const std::int64_t newest_timeline = all.empty() ? 0 : all.front().timeline;
  if (std::holds_alternative<ResumeNever>(resume)) {
    return {.checkpoint = {}, .step = 0, .timeline = all.empty() ? 0 : newest_timeline + 1};
  }
  std::optional<storage::CheckpointReader> reader;
  if (const auto* wanted = std::get_if<ResumeStep>(&resume)) {
    reader.emplace(store.open(wanted->step));
  } else if (const auto newest = store.newest_intact()) {
    reader.emplace(*newest);
  } else {
    return {};
  }
  require_same_meaning(config, *reader);
  const auto& metadata = reader->manifest().metadata;
  if (metadata.tokenizer_hash != tokenizer_hash) {
    throw Error(ErrorCode::kConfig,
                "{}: the corpus {} has another tokenizer than the one this run was trained with",
                reader->folder().string(), config.data.corpus);
  }
  if (metadata.numerics_fingerprint != ops::numerics_fingerprint()) {
    log::warn(
        "{} was written by another build or kind of machine: the run goes on, but not bit for bit as there",
        reader->folder().string());
  }
  const bool rolls_back = !all.empty() && all.front().step > metadata.step;
  return {.checkpoint = std::filesystem::absolute(reader->folder()).string(),
          .step = metadata.step,
          .timeline = rolls_back ? newest_timeline + 1 : metadata.timeline};
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

Resume parse_resume(const std::string& text) {
  if (text == "auto") return ResumeAuto{};
  if (text == "never") return ResumeNever{};
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc{} || end != text.data() + text.size() || step < 0) {
    throw Error(ErrorCode::kConfig, "--resume {}: auto, never or the step of a checkpoint", text);
  }
  return ResumeStep{step};
}

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
      server_.emplace(request_.config.dashboard, request_.config.metrics.per_expert, hub_);
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
    const storage::CheckpointStore store(folder_->checkpoints());
    resolve_init_from(request_.config, recorded_config());
    start_ = choose_start(store, request_.resume, request_.config, corpus_.tokenizer_hash);
    if (start_.checkpoint.empty()) require_fitting_weights(request_.config, corpus_);
    commits_.emplace(folder_->checkpoints(), request_.config.checkpoint,
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

  /// Of a run that goes on.
  [[nodiscard]] std::optional<configs::RunConfig> recorded_config() const {
    const bool goes_on = !std::holds_alternative<ResumeNever>(request_.resume);
    if (!goes_on || !std::filesystem::exists(folder_->config_file())) return std::nullopt;
    return configs::load_config(folder_->config_file(), {});
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
            .first_step = start_.step};
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
      next = fmt::format("{} generate {} --prompt \"The \"", program, folder_->path().string());
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
