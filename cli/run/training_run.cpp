#include "cli/run/training_run.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <optional>
#include <utility>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "cli/arguments/shell_command.h"
#include "cli/arguments/standard_streams.h"
#include "cli/arguments/this_process.h"
#include "cli/description/run_description.h"
#include "cli/run/device_choice.h"
#include "cli/run/initial_weights.h"
#include "cli/run/local_job.h"
#include "cli/run/memory_check.h"
#include "cli/run/metrics_observer.h"
#include "cli/run/run_corpus.h"
#include "cli/run/run_log.h"
#include "cli/run/run_page.h"
#include "cli/run/run_record.h"
#include "cli/run/start_layout.h"
#include "cli/run/start_summary.h"
#include "cli/run/training_setup.h"
#include "cli/run/worker_hosts.h"
#include "cli/terminal/terminal.h"
#include "configs/identity.h"
#include "configs/layout_choice.h"
#include "configs/load.h"
#include "coordinator/checkpoints/store_commits.h"
#include "coordinator/coordinator.h"
#include "coordinator/job/job_traces.h"
#include "coordinator/recovery/recovery_timer.h"
#include "coordinator/recovery/restart_policy.h"
#include "coordinator/recovery/stop_memory.h"
#include "coordinator/run/load_monitor.h"
#include "coordinator/run/metrics_history.h"
#include "coordinator/run/observer_list.h"
#include "storage/checkpoint_store.h"
#include "storage/memory_snapshots.h"

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
  metadata.roll_backs = start.roll_backs;
  metadata.workers = *config.parallel.workers;
  metadata.expert_parallel = *config.parallel.expert_parallel;
  metadata.config_hash = configs::config_hash(config);
  metadata.tokenizer_hash = corpus.tokenizer_hash;
  metadata.config = configs::dump(config);
  metadata.corpus = identity_text(corpus.identity);
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
        layout_(request_.config),
        corpus_(read_corpus_facts(request_.config)),
        hub_({.name = request_.config.run.name,
              .folder = {},
              .steps = request_.config.run.steps,
              .workers = *request_.config.parallel.workers,
              .epoch = 0,
              .domains = corpus_.domains}),
        terminal_(std::cout, request_.under_mpi ? TerminalOptions() : TerminalOptions::detect(stdout), clock_,
                  [this](int error) { output_lost(error); }),
        page_(request_.config.dashboard, request_.config.metrics.per_expert, hub_) {
    const std::string memory = memory_remark();
    const bool is_new = request_.run_folder.empty() || !std::filesystem::exists(request_.run_folder);
    folder_.emplace(open_folder(request_));
    NewFolderGuard guard(is_new, folder_->path());
    prepare_folder();
    if (!memory.empty()) terminal_.note(coordinator::Severity::kWarning, memory);
    guard.keep();
  }

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_->path(); }

  [[nodiscard]] const std::string& job() const { return coordinator_->job(); }

  int run_supervised() {
    signals::outlast_stop_signals();
    coordinator::StopMemory stop;
    coordinator::RestartPolicy policy = restart_policy();
    for (;;) {
      if (const auto reason = stop.reason(); reason || output_is_closed_)
        coordinator_->request_stop(reason.value_or(kOutputClosed));
      coordinator::RunOutcome outcome = coordinator_->run_supervised(job_options());
      outcome.seconds = trained_seconds_ += outcome.seconds;
      if (outcome.result != coordinator::RunResult::kFailed) return conclude(outcome);
      if (outcome.divergence) {
        if (const auto end = roll_back(outcome, stop)) return conclude(*end);
        policy.went_back(start_.step);
        continue;
      }
      const auto verdict = policy.decide(outcome, clock_.now());
      if (const auto* end = std::get_if<coordinator::NoRestart>(&verdict)) {
        if (!end->reason.empty()) outcome.message += "; " + end->reason;
        outcome.result = end->result;
        return conclude(outcome);
      }
      if (const auto end = restart(outcome, std::get<coordinator::Restart>(verdict), stop))
        return conclude(*end);
    }
  }

  ClassicEnd run_classic() {
    signals::outlast_stop_signals();
    const coordinator::RunOutcome outcome = coordinator_->run_classic();
    return {conclude(outcome), outcome.workers_leave};
  }

 private:
  static constexpr const char* kOutputClosed = "the output was closed";
  static constexpr std::int64_t kStateBytes = 12;  // of a parameter: its value and two moments
  static constexpr std::int64_t kSlotOverhead = std::int64_t{1} << 20;

  [[nodiscard]] coordinator::RestartPolicy restart_policy() const {
    const auto fewer = [this](std::int64_t workers) -> std::optional<std::int64_t> {
      const auto layout = configs::smaller_layout(request_.config, workers);
      return layout ? std::optional(layout->workers) : std::nullopt;
    };
    return {request_.config.elastic, *request_.config.parallel.workers, fewer};
  }

  /// Makes everything ready for the next start of workers; or how the run ends instead.
  std::optional<coordinator::RunOutcome> restart(const coordinator::RunOutcome& failed,
                                                 const coordinator::Restart& restart,
                                                 coordinator::StopMemory& stop) {
    const std::int64_t epoch_before = coordinator_->epoch();
    coordinator_.reset();  // with it its port, and its ear for signals
    if (restart.delay.count() > 0) {
      observers_->note(coordinator::Severity::kInfo,
                       fmt::format("the workers are started again in {:.1f} s", seconds(restart.delay)));
    }
    stop.wait(restart.delay);
    const auto choose = [&](storage::CheckpointStore& store) {
      start_ = with_snapshot(choose_restart(store, start_), found_in_memory());
      take_layout(take_hosts(restart.workers));
      return std::optional<std::string>();
    };
    if (auto end = begin_again(failed, stop, choose)) return end;
    recovery_.restarted();
    tell_restart(failed, epoch_before, fmt::format("restart {}", restart.number));
    return std::nullopt;
  }

  /// The same for a run that diverged: it goes back to a checkpoint, and on with other batches.
  std::optional<coordinator::RunOutcome> roll_back(const coordinator::RunOutcome& diverged,
                                                   coordinator::StopMemory& stop) {
    const std::int64_t most = request_.config.run.max_roll_backs;
    if (most == 0) return diverged;
    const std::int64_t epoch_before = coordinator_->epoch();
    coordinator_.reset();
    const auto choose = [&](storage::CheckpointStore& store) -> std::optional<std::string> {
      if (start_.roll_backs >= most)
        return fmt::format("; it was rolled back {} before (run.max_roll_backs)",
                           counted(start_.roll_backs, "time"));
      const auto older = choose_roll_back(store, start_, *diverged.divergence);
      if (!older) return "; there is no checkpoint of older weights to go back to";
      start_ = *older;
      return std::nullopt;
    };
    if (auto end = begin_again(diverged, stop, choose)) return end;
    tell_restart(diverged, epoch_before,
                 fmt::format("roll-back {} of {}: {}; the batches up to sequence {} are left out",
                             start_.roll_backs, most, diverged.message, start_.data_cursor),
                 true);
    return std::nullopt;
  }

  /// choose: sets where the run goes on, or says why it does not
  template <class Choose>
  std::optional<coordinator::RunOutcome> begin_again(const coordinator::RunOutcome& failed,
                                                     coordinator::StopMemory& stop, const Choose& choose) {
    coordinator::RunOutcome outcome = failed;
    try {
      storage::CheckpointStore store(folder_->checkpoints());
      store.recover();
      if (const std::optional<std::string> reason = choose(store)) {
        outcome.message += *reason;
        return outcome;
      }
      if (const auto reason = stop.reason(); reason || output_is_closed_ || is_done()) {
        keeps_memory_ = start_.snapshot.has_value();
        return stopped(failed, reason.value_or(output_is_closed_ ? kOutputClosed : ""));
      }
      begin_epoch(std::move(store));
    } catch (const Error& error) {
      outcome.message += fmt::format("; the run cannot go on: {}", error.what());
      return outcome;
    }
    return std::nullopt;
  }

  /// Takes the hosts of the next start. Returns how many of `workers` they have room for.
  std::int64_t take_hosts(std::int64_t workers) {
    const StartLayout::Room room = layout_.take_hosts(workers, folder_->path() / "hosts");
    if (!room.left_out.empty()) {
      observers_->note(
          coordinator::Severity::kWarning,
          fmt::format("{} left out: no command can be run there", fmt::join(room.left_out, ", ")));
    }
    return room.workers;
  }

  void take_layout(std::int64_t workers) {
    const configs::LayoutChoice layout = layout_.of(workers);
    request_.config.parallel.workers = layout.workers;
    request_.config.parallel.expert_parallel = layout.expert_parallel;
  }

  /// What run.stop_after asked for is there, though the workers were lost before they could leave.
  [[nodiscard]] bool is_done() const {
    const auto& stop_after = request_.config.run.stop_after;
    return stop_after && !start_.snapshot && start_.step >= *stop_after;
  }

  [[nodiscard]] coordinator::RunOutcome stopped(coordinator::RunOutcome failed,
                                                const std::string& reason) const {
    failed.result = coordinator::RunResult::kStopped;
    failed.failure = std::nullopt;
    failed.message = reason.empty() ? "" : fmt::format("{} before the workers were started again", reason);
    failed.step = start_.step;
    failed.checkpoint = start_.checkpoint;
    failed.log_tail = {};
    return failed;
  }

  void tell_restart(const coordinator::RunOutcome& failed, std::int64_t epoch_before, const std::string& what,
                    bool rolled_back = false) {
    const std::string from = start_.is_beginning() ? "from its beginning" : "from " + start_.source();
    const std::int64_t workers = *request_.config.parallel.workers;
    observers_->note(
        coordinator::Severity::kWarning,
        fmt::format(
            "{}: the run goes on at step {}, {}, with {}; step {} was the last one finished, and what "
            "the {} printed is in {}",
            what, start_.first_step(), from, counted(workers, "worker"), failed.step,
            rolled_back ? "workers" : "lost ones",
            (folder_->logs() / fmt::format("workers-{}.log", epoch_before)).string()));
    metrics_->restarted({.time = clock_.wall_seconds(),
                         .step = start_.first_step(),
                         .failed_step = failed.step,
                         .epoch = coordinator_->epoch(),
                         .workers = workers,
                         .reason = failed.message,
                         .rolled_back = rolled_back});
  }

  [[nodiscard]] coordinator::JobOptions job_options() const {
    const configs::RunConfig& config = request_.config;
    coordinator::LaunchOptions launch = config.launch;
    launch.hostfile = layout_.hostfile();
    return with_this_process({.command = {program_path(), "worker", "--run-dir", folder_->path().string()},
                              .workers = *config.parallel.workers,
                              .threads = config.parallel.threads,
                              .backend = config.parallel.backend,
                              .launch = std::move(launch)});
  }

  /// Workers whose memory is this machine's.
  [[nodiscard]] std::int64_t workers_here() const {
    if (request_.under_mpi) return ranks_on_this_machine() - 1;  // rank 0 coordinates here
    return request_.config.launch.hostfile || has_allocation() ? 0 : *request_.config.parallel.workers;
  }

  [[nodiscard]] std::string memory_remark() const {
    const RunDescription run = describe_run(request_.config, corpus_.vocab_size, available_cores());
    return check_memory(run.bytes_per_worker, workers_here(), machine_memory());
  }

  void prepare_folder() {
    log::set_up("coordinator", folder_->logs() / "coordinator.log");
    if (const std::size_t ended = coordinator::end_leftover_job(folder_->path()); ended > 0) {
      log::warn("of the run's last start, {} still there: ended",
                ended == 1 ? "a process was" : fmt::format("{} processes were", ended));
    }
    snapshots_.emplace(sha256(folder_->id() + folder_->path().string()).substr(0, 24));  // of copies, too
    require_memory();
    storage::CheckpointStore store(folder_->checkpoints());
    store.recover();
    start_ = choose_start(store, folder_->path(), request_.resume, request_.allowed_changes, request_.config,
                          corpus_);
    if (start_.checkpoint.empty()) require_fitting_weights(request_.config, corpus_);
    keep_corpus(folder_->path(), request_.config.data.corpus, corpus_.identity);
    page_.keep_token(folder_->path());
    hub_.set_folder(folder_->path().string());
    if (std::holds_alternative<ResumeAuto>(request_.resume))
      start_ = with_snapshot(start_, found_in_memory());
    begin_epoch(std::move(store));
    print_start();
  }

  /// Of the run's bits: a snapshot of other ones is none.
  [[nodiscard]] std::string identity() const {
    return sha256(fmt::format("{}\n{}\n{}\n{:016x}", configs::config_hash(request_.config),
                              corpus_.tokenizer_hash, identity_text(corpus_.identity),
                              numerics_identity(request_.config)));
  }

  /// What workers took there, as far as metrics.jsonl tells of it.
  [[nodiscard]] std::optional<storage::FoundSnapshot> found_in_memory() const {
    if (request_.config.checkpoint.snapshot_every == 0) return std::nullopt;
    return snapshots_->newest(identity(), coordinator::newest_step_in(folder_->metrics_file()));
  }

  /// Snapshots are possible here, and have room.
  void require_memory() const {
    if (request_.config.checkpoint.snapshot_every == 0) return;
    const std::int64_t workers = *request_.config.parallel.workers;
    if (workers_here() != workers) {
      throw Error(
          ErrorCode::kConfig,
          "checkpoint.snapshot_every keeps the state of workers on this machine, and not all of the {} are "
          "known to be here: set it to 0",
          workers);
    }
    const auto parameters =
        describe_run(request_.config, corpus_.vocab_size, available_cores()).parameters.total;
    snapshots_->require_room(kStateBytes * parameters + workers * kSlotOverhead);
  }

  std::string make_snapshots(comm::Epoch epoch) const {
    return snapshots_
        ->begin({.identity = identity(),
                 .timeline = start_.timeline,
                 .epoch = epoch,
                 .workers = *request_.config.parallel.workers,
                 .roll_backs = start_.roll_backs})
        .string();
  }

  /// Everything that belongs to one start of workers, which begins at start_.
  void begin_epoch(storage::CheckpointStore store) {
    observers_.reset();
    commits_.emplace(std::move(store), request_.config.checkpoint,
                     metadata_of(request_.config, start_, corpus_));
    folder_->write_config(record_text(request_.config));
    snapshots_->keep_only(start_.snapshot);
    evaluated_ = folder_->cut_metrics(start_.is_beginning() ? -1 : start_.first_step());
    metrics_file_.emplace(folder_->metrics_file());
    metrics_.emplace(hub_, *metrics_file_, folder_->path() / "samples.txt", clock_);
    observers_.emplace(std::vector<coordinator::RunObserver*>{&terminal_, &log_, &recovery_, &*metrics_});
    coordinator_.emplace(coordinator_options(), *folder_, *commits_, *observers_);
  }

  [[nodiscard]] coordinator::CoordinatorOptions coordinator_options() const {
    const configs::RunConfig& config = request_.config;
    std::function<std::string(comm::Epoch)> make;
    if (config.checkpoint.snapshot_every > 0)
      make = [this](comm::Epoch epoch) { return make_snapshots(epoch); };
    return {.workers = *config.parallel.workers,
            .schedule = {.run = config.run,
                         .evaluation = config.evaluation,
                         .sampling = config.sampling,
                         .checkpoint = config.checkpoint},
            .control = control_options(config),
            .elastic = config.elastic,
            .lanes = config.batch.grad_lanes,
            .checkpoint = start_.checkpoint,
            .data_cursor = start_.snapshot ? 0 : start_.data_cursor,
            .snapshot = start_.snapshot ? start_.snapshot->folder.string() : "",
            .make_snapshots = std::move(make),
            .first_step = start_.first_step(),
            .evaluated = evaluated_,
            .history = coordinator::read_recent_loads(folder_->metrics_file(),
                                                      coordinator::LoadMonitor::kDeadWindow)};
  }

  [[nodiscard]] comm::ControlOptions control_options(const configs::RunConfig& config) const {
    comm::ControlOptions options = config.control;
    options.address = control_address(config, request_.workers_elsewhere);
    return options;
  }

  /// Who closed the pipe or the terminal wants no more of it; what a full device lacks is only the text.
  void output_lost(int error) {
    drop_output();
    if (std::exchange(output_is_lost_, true)) return;
    const bool is_closed = error == EPIPE || error == EIO;
    log::warn("the output cannot be written any more: {}; {}", std::strerror(error),
              is_closed ? "the run is saved and stops" : "training goes on");
    output_is_closed_ = is_closed;
    if (is_closed && coordinator_) coordinator_->request_stop(kOutputClosed);
  }

  void print_start() {
    terminal_.print_start(
        request_.config.run.name,
        start_summary({.config = request_.config,
                       .vocab_size = corpus_.vocab_size,
                       .start = start_,
                       .folder = folder_->path().string(),
                       .binding = request_.under_mpi ? "as mpirun was told"
                                                     : coordinator::describe_binding(job_options()),
                       .control = control_options(request_.config).address,
                       .page = page_.address(folder_->path())}));
  }

  int conclude(const coordinator::RunOutcome& outcome) {
    const std::string folder = folder_->path().string();
    std::string next;
    if (outcome.result == coordinator::RunResult::kFinished) {
      next = troupe_command({"generate", folder, "--prompt", "The"});
    } else if (outcome.result == coordinator::RunResult::kStopped) {
      next = troupe_command({"train", "--run-dir", folder});
    }
    log_.ended(outcome);
    if (!keeps_memory_) snapshots_->keep_only(std::nullopt);
    terminal_.print_end(outcome, {{"folder", folder}}, next);
    return exit_code(outcome);
  }

  RunRequest request_;
  SystemClock clock_;
  StartLayout layout_;
  CorpusFacts corpus_;
  dashboard::MetricsHub hub_;
  Terminal terminal_;
  bool output_is_lost_ = false;
  bool output_is_closed_ = false;
  RunLog log_;
  coordinator::RecoveryTimer recovery_{clock_};
  RunPage page_;
  std::optional<coordinator::RunFolder> folder_;
  std::optional<storage::MemorySnapshots> snapshots_;
  bool keeps_memory_ = false;  // it has more than the disk, and nobody saves it any more
  StartPoint start_;
  bool evaluated_ = false;
  double trained_seconds_ = 0.0;
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
const std::string& TrainingRun::job() const { return implementation_->job(); }
ClassicEnd TrainingRun::run_classic() { return implementation_->run_classic(); }

}  // namespace troupe::cli
