#include "coordinator/run/run_controller.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/error.h"

namespace troupe::coordinator {

std::string_view to_string(RunState state) {
  switch (state) {
    case RunState::kWaitingForWorkers:
      return "waiting for workers";
    case RunState::kTraining:
      return "training";
    case RunState::kStopping:
      return "stopping";
    case RunState::kEnded:
      return "ended";
  }
  return "unknown";
}

namespace {

FailureKind kind_of(const comm::WorkerFailed& failure) {
  if (failure.error_code == to_string(ErrorCode::kPeerLost)) return FailureKind::kPeerLost;
  if (failure.error_code == to_string(ErrorCode::kConfig)) return FailureKind::kImpossible;
  if (failure.error_code == comm::kDeviates) return FailureKind::kDeviates;
  if (failure.error_code == comm::kDisagrees) return FailureKind::kDisagrees;
  return FailureKind::kWorkerError;
}

const WorkerView* worker_of(const MembershipView& view, std::int64_t rank) {
  const auto found = std::ranges::find_if(view.workers, [rank](const WorkerView& one) {
    return rank >= one.first_rank && rank < one.first_rank + one.ranks;
  });
  return found == view.workers.end() ? nullptr : &*found;
}

}  // namespace

RunController::RunController(RunControllerOptions options, RunObserver& observer, OnEnded on_ended)
    : options_(std::move(options)),
      observer_(observer),
      on_ended_(std::move(on_ended)),
      scheduler_(options_.schedule),
      progress_(options_.epoch, options_.world_size, options_.first_step, options_.schedule.run.steps,
                observer),
      stragglers_(options_.straggler_factor, options_.world_size, options_.lanes),
      newest_checkpoint_(options_.checkpoint) {
  for (const auto& loads : options_.history) progress_.remember(loads);
  options_.history.clear();
}

// ---- workers come --------------------------------------------------------------------------------

void RunController::on(const BeginRun& begin) {
  membership_ = begin.membership;
  committer_ = begin.committer;
  view_.world_size = options_.world_size;
  observer_.state_changed(state_);
  send_later(options_.join_limit, JoinLimitReached{});
}

void RunController::on(const AllJoined& joined) {
  if (state_ != RunState::kWaitingForWorkers) return;
  (void)committer_.send(BeginCommits{joined.numerics_fingerprint});
  training_since_ = now();
  set_state(RunState::kTraining);
  broadcast(comm::StartTraining{options_.world_size, options_.checkpoint, options_.data_cursor,
                                options_.snapshots, options_.snapshot, options_.first_step});
  publish_plan(scheduler_.first_boundary(options_.first_step, options_.evaluated));
}

void RunController::on(const JoinLimitReached&) {
  if (state_ != RunState::kWaitingForWorkers) return;
  fail(FailureKind::kDeadline,
       fmt::format("after {:.0f} s these workers had not joined: {} of {}; see the job's log",
                   seconds(options_.join_limit), missing_ranks(view_), view_.world_size));
}

void RunController::publish_plan(std::int64_t first_step) {
  plan_ = scheduler_.plan(plan_.version + 1, first_step);
  broadcast(plan_);
}

void RunController::broadcast(comm::CoordinatorMessage message) {
  const actors::Delivery delivery = membership_.send(Broadcast{std::move(message)});
  TROUPE_CHECK(delivery != actors::Delivery::kFull, "the mailbox of {} is full", membership_.name());
}

// ---- workers train -------------------------------------------------------------------------------

void RunController::on(const WorkerReported& reported) {
  if (has_ended()) return;
  std::visit([this](const auto& message) { report(message); }, reported.message);
}

void RunController::report(const comm::StepFinished& step) {
  progress_.report(step, clock().wall_seconds());
  watch_pace(step);
  if (scheduler_.renewal_due(plan_, progress_.step())) publish_plan(progress_.step() + 1);
}

void RunController::watch_pace(const comm::StepFinished& step) {
  const auto news = stragglers_.observe(step);
  if (stragglers_.stragglers() != shown_stragglers_) {
    shown_stragglers_ = stragglers_.stragglers();
    observer_.stragglers_changed(shown_stragglers_);
  }
  if (!news) return;
  const auto* worker = worker_of(view_, news->rank);
  observer_.note(
      Severity::kWarning,
      fmt::format(
          "worker {}{} is slow: {} takes it {:.1f} times as long as the others, {:.3g} s of a "
          "step and not {:.3g} s (medians of {} steps)",
          news->rank,
          worker == nullptr ? "" : fmt::format(" (host {}, process {})", worker->host, worker->process_id),
          news->phase, news->factor(), news->seconds, news->others_seconds, StragglerWatch::kSteps));
}

void RunController::report(const comm::EvaluationFinished& evaluation) {
  observer_.evaluation_finished(summarize(evaluation));
}

void RunController::report(const comm::SampleFinished& sample) { observer_.sample_finished(sample); }

void RunController::report(const comm::ShardWritten& shard) {
  const actors::Delivery delivery = committer_.send(shard);
  TROUPE_CHECK(delivery != actors::Delivery::kFull, "the mailbox of {} is full", committer_.name());
}

void RunController::report(const comm::TrainingEnded& ended) {
  if (!ended_ranks_.insert(ended.rank).second) return;
  ended_step_ = std::max(ended_step_, ended.step);
  finished_ = finished_ && ended.finished;
  if (!ended.diverged.empty()) {
    diverged_ = ended.diverged;
    divergence_ = {ended.updates, ended.data_cursor};
  }
  if (static_cast<std::int64_t>(ended_ranks_.size()) < options_.world_size) return;
  set_state(RunState::kStopping);
  (void)committer_.send(FinishCommits{});
}

template <class Message>
void RunController::report(const Message&) {
  throw Error(ErrorCode::kInternal, "a worker's message reached the run controller that is not for it");
}

void RunController::on(const CheckpointSettled& settled) {
  if (has_ended()) return;
  const CheckpointView& checkpoint = settled.checkpoint;
  if (checkpoint.error.empty()) {
    newest_checkpoint_ = checkpoint.path;
    failed_checkpoint_.reset();
  } else {
    failed_checkpoint_ = checkpoint;
  }
  observer_.checkpoint_settled(checkpoint);
}

void RunController::on(const MembershipChanged& changed) {
  if (has_ended()) return;
  view_ = changed.view;
  observer_.membership_changed(view_);
}

void RunController::on(const Remark& remark) {
  if (!has_ended()) observer_.note(remark.severity, remark.text);
}

// ---- the run stops -------------------------------------------------------------------------------

void RunController::on(const StopRequested& stop) {
  if (has_ended()) return;
  // Whoever signals twice does not want to wait for a checkpoint.
  if (stop.abort_signal != 0) {
    end(RunResult::kAborted, fmt::format("{} again: ended without saving", stop.reason), stop.abort_signal);
    return;
  }
  if (state_ == RunState::kWaitingForWorkers) {
    end(RunResult::kStopped, fmt::format("{} before training began", stop.reason));
    return;
  }
  stop_requested_ = true;
  observer_.note(Severity::kInfo,
                 fmt::format("{}: the workers finish their step, save and end", stop.reason));
  broadcast(comm::StopTraining{stop.reason});
  set_state(RunState::kStopping);
}

void RunController::on(const CommitsFinished&) {
  if (has_ended()) return;
  broadcast(comm::Dismiss{});
  dismissed_ = true;
  send_later(options_.leave_limit, LeaveLimitReached{});
  if (view_.workers.empty()) end_dismissed();
}

void RunController::on(const LeaveLimitReached&) {
  if (has_ended()) return;
  observer_.note(Severity::kWarning, "dismissed workers did not leave; they are ended");
  end_dismissed();
}

void RunController::end_dismissed() {
  if (divergence_) {
    end(RunResult::kFailed, diverged_);
  } else if (failed_checkpoint_ && failed_checkpoint_->step == ended_step_) {
    end(RunResult::kFailed, fmt::format("step {} is done, but its checkpoint could not be written: {}",
                                        ended_step_, failed_checkpoint_->error));
  } else {
    end(finished_ ? RunResult::kFinished : RunResult::kStopped, {});
  }
}

// ---- the run fails -------------------------------------------------------------------------------

void RunController::on(const WorkerGone& gone) {
  if (has_ended()) return;
  if (dismissed_) {
    if (gone.was_last) end_dismissed();
    return;
  }
  fail(FailureKind::kWorkerGone,
       fmt::format("{} is gone {}: {}", name_of(gone.identity), text_of(gone.activity), gone.reason));
}

void RunController::on(const WorkerBroke& broke) {
  fail(kind_of(broke.failure),
       fmt::format("{} failed {}: {}", broke.worker, text_of(broke.activity), broke.failure.message));
}

void RunController::on(const WorkersStalled& stalled) {
  if (!dismissed_) fail(FailureKind::kStalled, stalled.text);
}

void RunController::on(const WorkerRefused& refused) {
  fail(FailureKind::kRefusal, fmt::format("{} was refused: {}", refused.worker, refused.reason));
}

void RunController::on(const JobEnded& job) {
  if (has_ended()) return;
  if (dismissed_) {
    end_dismissed();
    return;
  }
  const FailureKind kind = job.was_killed ? FailureKind::kJobKilled : FailureKind::kJobEnded;
  if (state_ == RunState::kWaitingForWorkers) {
    fail(kind, fmt::format("the worker job {} before these workers had joined: {} of {}", job.status,
                           missing_ranks(view_), view_.world_size));
  } else {
    fail(kind, fmt::format("the worker job {} during training", job.status));
  }
}

void RunController::fail(FailureKind kind, const std::string& text) {
  if (has_ended()) return;
  observer_.note(Severity::kError, text);
  // The first to speak is seldom the cause: peers notice a loss before the one who broke is heard. All
  // reports until the verdict are weighed.
  if (failure_.empty()) send_later(options_.verdict_delay, VerdictDue{});
  failure_.add(kind, text);
}

void RunController::on(const VerdictDue&) {
  if (!has_ended()) end(RunResult::kFailed, failure_.text());
}

// ---- the run ended -------------------------------------------------------------------------------

void RunController::set_state(RunState state) {
  if (state == state_) return;
  state_ = state;
  observer_.state_changed(state);
}

void RunController::end(RunResult result, const std::string& message, int signal) {
  RunOutcome outcome;
  outcome.result = result;
  outcome.signal = signal;
  outcome.message = message;
  if (failure_.kind()) outcome.failure = {*failure_.kind(), training_since_.has_value(), stop_requested_};
  if (dismissed_) outcome.divergence = divergence_;
  outcome.workers_leave = dismissed_;
  outcome.step = progress_.step();
  outcome.loss = progress_.loss();
  outcome.tokens = progress_.tokens();
  if (training_since_) outcome.seconds = seconds(now() - *training_since_);
  outcome.checkpoint = newest_checkpoint_;
  set_state(RunState::kEnded);
  on_ended_(outcome);
}

}  // namespace troupe::coordinator
