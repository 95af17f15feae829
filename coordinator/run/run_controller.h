#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/actor.h"
#include "coordinator/checkpoints/checkpoint_committer.h"
#include "coordinator/job/failure_report.h"
#include "coordinator/recovery/straggler_watch.h"
#include "coordinator/run/membership.h"
#include "coordinator/run/outcome.h"
#include "coordinator/run/run_messages.h"
#include "coordinator/run/run_progress.h"
#include "coordinator/run/step_scheduler.h"

namespace troupe::coordinator {

/// The other actors of this epoch are there: workers may come.
struct BeginRun {
  actors::Address<MembershipApi> membership;
  actors::Address<CheckpointCommitterApi> committer;
};
// Timers.
struct JoinLimitReached {};
struct VerdictDue {};
struct LeaveLimitReached {};

using RunControllerApi =
    actors::Accepts<BeginRun, AllJoined, WorkerRefused, WorkerGone, WorkerBroke, WorkersStalled,
                    WorkerReported, MembershipChanged, Remark, CheckpointSettled, CommitsFinished,
                    StopRequested, JobEnded, JoinLimitReached, VerdictDue, LeaveLimitReached>;

struct RunControllerOptions {
  comm::Epoch epoch = 0;
  std::int64_t world_size = 1;
  std::string job = {};          // what workers of this epoch say; empty: of whoever knows the secret
  std::string checkpoint;        // folder that workers load, absolute; empty: initial values
  std::int64_t data_cursor = 0;  // sequences before this one are left out
  std::string snapshots = {};    // as StartTraining's, as the next
  std::string snapshot = {};
  std::int64_t first_step = 0;  // of that checkpoint or snapshot
  bool evaluated = true;        // the evaluation of that step, if one is due there, is in the metrics
  std::vector<std::vector<comm::LayerLoad>> history = {};  // of steps before it, oldest first
  ScheduleOptions schedule;
  double straggler_factor = 0.0;  // see StragglerWatch
  std::int64_t lanes = 1;
  Duration loss_limit = std::chrono::seconds(60);   // silence after which a worker is given up
  Duration stall_limit = Duration::zero();          // see StallWatch
  Duration join_limit = std::chrono::seconds(120);  // for all workers to come
  Duration verdict_delay =
      std::chrono::milliseconds(100);               // from the first sign of a failure: see FailureKind
  Duration leave_limit = std::chrono::seconds(30);  // for dismissed workers to go
};

/// The state machine of a run: waiting for workers → training → stopping → ended. It decides what the workers
/// do and how the run ended, and is the only one that calls the observer.
class RunController final : public actors::Actor<RunControllerApi> {
 public:
  using OnEnded = std::function<void(const RunOutcome&)>;

  /// `observer` must outlive the actor. `on_ended` is called once, on the actor's strand, when no worker is
  /// wanted any more; a job that still runs then is the caller's to end.
  RunController(RunControllerOptions options, RunObserver& observer, OnEnded on_ended);

  void on(const BeginRun& begin) override;
  void on(const AllJoined& joined) override;
  void on(const WorkerRefused& refused) override;
  void on(const WorkerGone& gone) override;
  void on(const WorkerBroke& broke) override;
  void on(const WorkersStalled& stalled) override;
  void on(const WorkerReported& reported) override;
  void on(const MembershipChanged& changed) override;
  void on(const Remark& remark) override;
  void on(const CheckpointSettled& settled) override;
  void on(const CommitsFinished& finished) override;
  void on(const StopRequested& stop) override;
  void on(const JobEnded& job) override;
  void on(const JoinLimitReached& limit) override;
  void on(const VerdictDue& due) override;
  void on(const LeaveLimitReached& limit) override;

 private:
  void report(const comm::StepFinished& step);
  void watch_pace(const comm::StepFinished& step);
  void report(const comm::EvaluationFinished& evaluation);
  void report(const comm::SampleFinished& sample);
  void report(const comm::ShardWritten& shard);
  void report(const comm::TrainingEnded& ended);
  template <class Message>
  void report(const Message& message);

  void set_state(RunState state);
  void publish_plan(std::int64_t first_step);
  void broadcast(comm::CoordinatorMessage message);
  void fail(FailureKind kind, const std::string& text);
  void end(RunResult result, const std::string& message, int signal = 0);
  [[nodiscard]] bool has_ended() const { return state_ == RunState::kEnded; }
  void end_dismissed();

  RunControllerOptions options_;
  RunObserver& observer_;
  OnEnded on_ended_;
  StepScheduler scheduler_;
  RunProgress progress_;
  StragglerWatch stragglers_;
  std::map<std::int64_t, Straggler> shown_stragglers_;
  actors::Address<MembershipApi> membership_;
  actors::Address<CheckpointCommitterApi> committer_;

  RunState state_ = RunState::kWaitingForWorkers;
  std::optional<TimePoint> training_since_;
  MembershipView view_;
  comm::StepPlan plan_;
  FailureReport failure_;
  std::set<std::int64_t> ended_ranks_;
  std::int64_t ended_step_ = 0;
  bool finished_ = true;  // as far as the ended ranks say
  bool dismissed_ = false;
  bool stop_requested_ = false;
  std::string newest_checkpoint_;
  std::string diverged_;  // why, if it did
  std::optional<Divergence> divergence_;
  std::optional<CheckpointView> failed_checkpoint_;  // the last attempt, if it failed
};

}  // namespace troupe::coordinator
