#include "coordinator/coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <csignal>
#include <mutex>
#include <optional>
#include <utility>

#include "actors/asio_runtime.h"
#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/run_files.h"
#include "comm/control/tcp/tcp_server.h"
#include "coordinator/job/job_launcher.h"
#include "coordinator/job/job_traces.h"
#include "coordinator/job/launcher_words.h"
#include "coordinator/job/open_file_limit.h"
#include "coordinator/job/out_of_memory.h"
#include "coordinator/job/stop_requests.h"
#include "coordinator/run/newest_step.h"
#include "coordinator/run/observer_list.h"
#include "coordinator/run/run_actors.h"

namespace troupe::coordinator {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr int kActorThreads = 3;  // one may be held up by the disk
constexpr Milliseconds kWatchInterval{1000};
constexpr Milliseconds kExitLimit{30000};  // for a job whose workers were dismissed
constexpr Milliseconds kEndGrace{5000};
constexpr std::array kSignals{SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGTERM, SIGXCPU, SIGCHLD};
constexpr std::size_t kTailLines = 20;

Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

class Coordinator::Impl {
 public:
  Impl(const CoordinatorOptions& options, RunFolder& folder, CheckpointCommits& commits,
       RunObserver& observer)
      : options_(options),
        folder_(folder),
        epoch_(folder.raise_epoch()),
        job_(comm::make_token()),
        newest_step_(options.first_step),
        observers_({&newest_step_, &observer}) {
    listen();
    spawn_actors(commits);
  }

  [[nodiscard]] comm::Epoch epoch() const { return epoch_; }
  [[nodiscard]] const std::string& job() const { return job_; }
  [[nodiscard]] std::filesystem::path contact_file() const { return folder_.path() / comm::kContactFile; }

  void request_stop(const std::string& reason) { (void)actors_.controller.send(StopRequested{reason, 0}); }

  RunOutcome run_supervised(JobOptions options) {
    const JobTraces traces(folder_.path(), job_);
    options.job = job_;
    options.files = traces.files();
    options.shared_memory = traces.shared_memory();
    stop_requests_.emplace(true);
    const Command command = build_job_command(options);
    log::debug("starting {}", fmt::join(command.arguments, " "));
    JobLauncher job(command, folder_.logs() / fmt::format("workers-{}.log", epoch_));
    actors_.begin(*server_);
    RunOutcome outcome = wait(&job);
    if (outcome.result == RunResult::kFailed) add_log(outcome, job);  // before the others say that they end
    if (outcome.workers_leave) let_exit(job);
    finish();  // workers that lose their link end by themselves
    job.end(kEndGrace);
    weigh_lost_daemons(outcome, job);
    return outcome;
  }

  RunOutcome run_classic() {
    stop_requests_.emplace(false);
    actors_.begin(*server_);
    RunOutcome outcome = wait(nullptr);
    finish();
    return outcome;
  }

 private:
  void listen() {
    make_room_for_links(options_.workers);
    server_ = std::make_unique<comm::TcpControlServer>(options_.control, comm::make_secret(), clock_);
    server_->begin_epoch(epoch_);
    comm::write_contact(contact_file(), server_->contact(epoch_));
  }

  void spawn_actors(CheckpointCommits& commits) {
    runtime_ =
        std::make_unique<actors::AsioRuntime>(kActorThreads, [this](const Error& error) { fail(error); });
    RunControllerOptions options;
    options.epoch = epoch_;
    options.world_size = options_.workers;
    options.job = job_;
    options.loss_limit = duration_of(options_.elastic.silence_seconds);
    options.straggler_factor = options_.elastic.straggler_factor;
    options.lanes = options_.lanes;
    options.stall_limit = duration_of(options_.elastic.stall_seconds);
    options.checkpoint = options_.checkpoint;
    options.data_cursor = options_.data_cursor;
    options.snapshot = options_.snapshot;
    if (options_.make_snapshots) options.snapshots = options_.make_snapshots(epoch_);
    options.first_step = options_.first_step;
    options.evaluated = options_.evaluated;
    options.history = options_.history;
    options.schedule = options_.schedule;
    actors_ = spawn_run_actors(*runtime_, options, folder_.nonce(), {*server_, commits, observers_},
                               [this](const RunOutcome& end) { settle(end); });
  }

  /// The actors are gone after this: no observer is called any more, and the links are closed.
  void finish() {
    runtime_.reset();
    server_.reset();
  }

  void settle(const RunOutcome& outcome) {
    {
      const std::lock_guard lock(mutex_);
      if (!outcome_) outcome_ = outcome;
    }
    signals_.wake();
  }

  void fail(const Error& error) {
    RunOutcome outcome;
    outcome.message = fmt::format("the coordinator failed: {}", error.what());
    outcome.step = newest_step_.step();
    settle(outcome);
  }

  RunOutcome wait(JobLauncher* job) {
    for (;;) {
      if (auto outcome = take_outcome()) {
        if (outcome->result == RunResult::kFailed) outcome->message += memory_.remark();
        return *outcome;
      }
      if (const auto signal = signals_.wait(kWatchInterval)) handle(*signal);
      if (job != nullptr) watch(*job);
    }
  }

  std::optional<RunOutcome> take_outcome() {
    const std::lock_guard lock(mutex_);
    return outcome_;
  }

  void handle(int signal) {
    if (signal == SIGCHLD) return;
    const StopRequests::Meaning meaning = stop_requests_->receive(signal, clock_.now());
    if (meaning == StopRequests::Meaning::kNothingNew) return;
    const bool at_once = meaning == StopRequests::Meaning::kEndAtOnce;
    (void)actors_.controller.send(StopRequested{signals::name_of(signal), at_once ? signal : 0});
  }

  void watch(JobLauncher& job) {
    const auto& status = job.poll();
    if (!status || std::exchange(job_end_reported_, true)) return;
    (void)actors_.controller.send(JobEnded{status->text(), status->was_killed()});
  }

  void let_exit(JobLauncher& job) {
    const TimePoint deadline = clock_.now() + kExitLimit;
    while (!job.poll() && clock_.now() < deadline && !is_hurried(signals_.wait(kWatchInterval))) {
    }
    if (!job.poll()) {
      log::warn("the worker job did not end by itself within {} s", seconds(kExitLimit));
    } else if (!job.poll()->succeeded()) {
      log::warn("the run is complete, but the worker job {}; see {}", job.poll()->text(),
                job.log_file().string());
    }
  }

  bool is_hurried(std::optional<int> signal) {
    return signal && *signal != SIGCHLD &&
           stop_requests_->receive(*signal, clock_.now()) == StopRequests::Meaning::kEndAtOnce;
  }

  /// mpirun that loses a host ends all workers: those that are left save, as they do whenever they are told
  /// to end. Nobody asked for that, so the run is to go on.
  void weigh_lost_daemons(RunOutcome& outcome, JobLauncher& job) {
    const std::vector<std::string> hosts = hosts_of_lost_daemons(job.printed());
    if (hosts.empty()) return;
    const std::string text = fmt::format("mpirun lost its daemon on host {}", fmt::join(hosts, ", "));
    if (outcome.result == RunResult::kFailed) {
      outcome.message += "; " + text;
      observers_.note(Severity::kError, text);
    } else if (outcome.result == RunResult::kStopped && job.poll() && !job.poll()->succeeded()) {
      outcome.result = RunResult::kFailed;
      outcome.message = text + ", and ended the workers, which saved";
      outcome.failure = {.kind = FailureKind::kWorkerGone, .trained = true, .saved = true};
      observers_.note(Severity::kError, outcome.message);
      add_log(outcome, job);
    }
  }

  static void add_log(RunOutcome& outcome, const JobLauncher& job) {
    outcome.log_file = job.log_file().string();
    outcome.log_tail = job.log_tail(kTailLines);
  }

  CoordinatorOptions options_;
  RunFolder& folder_;
  comm::Epoch epoch_;
  std::string job_;
  NewestStep newest_step_;
  ObserverList observers_;
  SystemClock clock_;
  OutOfMemoryWatch memory_;
  signals::Queue signals_{kSignals};
  std::optional<StopRequests> stop_requests_;
  bool job_end_reported_ = false;
  std::mutex mutex_;
  std::optional<RunOutcome> outcome_;
  std::unique_ptr<comm::TcpControlServer> server_;  // outlives the actors
  std::unique_ptr<actors::AsioRuntime> runtime_;
  RunActors actors_;
};

Coordinator::Coordinator(const CoordinatorOptions& options, RunFolder& folder, CheckpointCommits& commits,
                         RunObserver& observer)
    : impl_(std::make_unique<Impl>(options, folder, commits, observer)) {}

Coordinator::~Coordinator() = default;

comm::Epoch Coordinator::epoch() const { return impl_->epoch(); }

const std::string& Coordinator::job() const { return impl_->job(); }

std::filesystem::path Coordinator::contact_file() const { return impl_->contact_file(); }

void Coordinator::request_stop(const std::string& reason) { impl_->request_stop(reason); }

RunOutcome Coordinator::run_supervised(const JobOptions& job) { return impl_->run_supervised(job); }

RunOutcome Coordinator::run_classic() { return impl_->run_classic(); }

}  // namespace troupe::coordinator
