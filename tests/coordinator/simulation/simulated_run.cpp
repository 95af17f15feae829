#include "tests/coordinator/simulation/simulated_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/counted.h"
#include "base/error.h"

namespace troupe::coordinator {

using namespace std::chrono_literals;

namespace {

constexpr Duration kVirtualLimit = std::chrono::hours(24);
constexpr std::int64_t kMostFaults = 8;
constexpr const char* kStopRequest = "the run is asked to stop";
constexpr std::int64_t kStepsToStop = 8;  // that a message may take

/// Half of the runs put up with anything, the others give up soon.
ElasticOptions elastic_options(bool patient) {
  ElasticOptions options;
  options.max_restarts = patient ? 1000 : 3;
  options.max_failures_per_step = patient ? 1000 : 2;
  options.silence_seconds = 4.0;
  options.stall_seconds = 3.0;
  return options;
}

}  // namespace

SimulatedRun::SimulatedRun(const Options& options)
    : world_(options.seed, options.tells),
      elastic_(elastic_options(world_.random_below(2) == 0)),
      steps_(1 + world_.random_below(120)),
      save_every_(1 + world_.random_below(8)),
      evaluate_every_(world_.random_below(6)),
      plan_steps_(2 + world_.random_below(40)),
      asked_workers_(1 + world_.random_below(4)),
      faults_left_(world_.random_below(kMostFaults + 1)) {}

SimulatedRun::~SimulatedRun() {
  end_epoch();
  jobs_.clear();
}

SimulatedRun::End SimulatedRun::run() {
  world_.tell(
      fmt::format("{} steps, a checkpoint every {}, {} workers", steps_, save_every_, asked_workers_));
  start_process();
  strike_later();
  const TimePoint end = world_.runtime.clock().now() + kVirtualLimit;
  while (!is_over() && world_.runtime.clock().now() < end) {
    const bool reacts = world_.runtime.run_until(
        [this] { return outcome_.has_value() || crashes_ || !world_.problems.empty(); }, kVirtualLimit);
    if (!reacts) break;
    if (std::exchange(crashes_, false)) crash();
    if (outcome_) react(*std::exchange(outcome_, std::nullopt));
  }
  if (end_) check_end();
  return end_.value_or(End::kNever);
}

// ---- the command ---------------------------------------------------------------------------------

void SimulatedRun::start_process() {
  process_lives_ = true;
  policy_.emplace(elastic_, asked_workers_, [](std::int64_t workers) {
    return workers > 1 ? std::optional(workers - 1) : std::nullopt;
  });
  begin_epoch(asked_workers_);
}

void SimulatedRun::begin_epoch(std::int64_t workers) {
  SimulatedDisk& disk = world_.disk;
  const comm::Epoch epoch = ++disk.epoch;
  const std::int64_t first_step = disk.checkpoints.empty() ? 0 : disk.checkpoints.rbegin()->first;
  const auto is_abandoned = [&](std::int64_t step) { return step > first_step || first_step == 0; };
  std::erase_if(disk.metrics, is_abandoned);
  std::erase_if(disk.evaluations, is_abandoned);
  world_.tell(fmt::format("epoch {}: {} workers from step {}", epoch, workers, first_step));
  server_ = world_.network.make_server();
  server_->begin_epoch(epoch);
  RunControllerOptions options;
  options.epoch = epoch;
  options.world_size = workers;
  options.job = fmt::format("job-{}", epoch);
  options.first_step = first_step;
  options.checkpoint = first_step > 0 ? name_of_checkpoint(first_step) : "";
  options.evaluated = std::ranges::find(disk.evaluations, first_step) != disk.evaluations.end();
  options.schedule.run.steps = steps_;
  options.schedule.checkpoint.every = save_every_;
  options.schedule.evaluation.every = evaluate_every_;
  options.schedule.plan_steps = plan_steps_;
  options.schedule.sampling.every = 0;
  options.loss_limit =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(elastic_.silence_seconds));
  options.stall_limit =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(elastic_.stall_seconds));
  actors_ = spawn_run_actors(world_.runtime, options, "nonce", {*server_, *this, *this},
                             [this](const RunOutcome& outcome) { outcome_ = outcome; });
  actors_->begin(*server_);
  struck_ = std::exchange(next_start_fails_, false);
  cut_off_ = false;
  stop_asked_at_.reset();
  jobs_.push_back(std::make_unique<SimulatedJob>(
      world_,
      SimulatedJob::Options{
          .epoch = epoch, .token = options.job, .workers = workers, .steps = steps_, .starts = !struck_},
      [this, epoch](bool killed) {
        world_.tell(fmt::format("the job of epoch {} is over", epoch));
        if (process_lives_ && epoch == world_.disk.epoch && actors_)
          (void)actors_->controller.send(JobEnded{"exited", killed});
      }));
}

/// Jobs whose workers could not be reached stay.
void SimulatedRun::end_epoch() {
  if (actors_) {
    world_.runtime.stop(actors_->controller);
    world_.runtime.stop(actors_->committer);
    world_.runtime.stop(actors_->membership);
  }
  actors_.reset();
  server_.reset();
  if (!jobs_.empty()) jobs_.back()->end();
  std::erase_if(jobs_, [](const auto& job) { return !job->lives(); });
}

void SimulatedRun::react(const RunOutcome& outcome) {
  world_.tell(fmt::format("epoch {} ends: {} {}", world_.disk.epoch, exit_code(outcome), outcome.message));
  check_outcome(outcome);
  end_epoch();
  if (outcome.result == RunResult::kFinished) {
    end_ = End::kFinished;
  } else if (outcome.result == RunResult::kStopped) {  // 75: somebody starts it again
    start_process();
  } else {
    const auto verdict = policy_->decide(outcome, world_.runtime.clock().now());
    if (std::holds_alternative<NoRestart>(verdict)) {
      end_ = End::kGivenUp;
      return;
    }
    const Restart& restart = std::get<Restart>(verdict);
    world_.after(restart.delay, [this, workers = restart.workers] {
      if (process_lives_ && !actors_) begin_epoch(workers);
    });
  }
}

void SimulatedRun::check_outcome(const RunOutcome& outcome) {
  if (outcome.result == RunResult::kFailed && !struck_)
    world_.broken("workers fail that nothing struck: " + outcome.message);
  if (stop_asked_at_ && !cut_off_ && newest_step() > *stop_asked_at_ + kStepsToStop)
    world_.broken(fmt::format("asked to stop after step {}, the workers went on to step {}", *stop_asked_at_,
                              newest_step()));
}

void SimulatedRun::crash() {
  world_.tell("the coordinator dies");
  process_lives_ = false;
  outcome_.reset();
  end_epoch();
  world_.after(world_.random_duration(3s), [this] {
    if (!process_lives_) start_process();
  });
}

// ---- what the actors use -------------------------------------------------------------------------

CommittedCheckpoint SimulatedRun::commit(const CheckpointAttempt& attempt) {
  check_complete(attempt);
  const CommitFault fault = std::exchange(commit_fault_, CommitFault::kNone);
  struck_ = struck_ || fault != CommitFault::kNone;
  if (fault == CommitFault::kDiskFull) world_.disk.failed_saves.insert(attempt.step);
  if (fault == CommitFault::kDiskFull) throw Error(ErrorCode::kIo, "the disk is full");
  crashes_ = fault != CommitFault::kNone;
  if (fault != CommitFault::kKilledBefore) {
    const SimulatedDisk::Checkpoint checkpoint{attempt.epoch, std::ssize(attempt.shards),
                                               expected_state(attempt.step)};
    if (!world_.disk.checkpoints.emplace(attempt.step, checkpoint).second)
      world_.broken(fmt::format("step {} is committed twice", attempt.step));
    world_.tell(fmt::format("epoch {} commits step {}", attempt.epoch, attempt.step));
  }
  return {name_of_checkpoint(attempt.step), 1};
}

void SimulatedRun::check_complete(const CheckpointAttempt& attempt) {
  if (attempt.epoch != world_.disk.epoch || !process_lives_)
    world_.broken(fmt::format("epoch {} commits step {}, but epoch {} has begun", attempt.epoch, attempt.step,
                              world_.disk.epoch));
  if (attempt.step % save_every_ != 0 && attempt.step != steps_ && !faults_.contains(kStopRequest))
    world_.broken(fmt::format("step {} is committed, and nobody asked for it", attempt.step));
  const auto& parts = world_.disk.parts[{attempt.epoch, attempt.step}];
  const std::int64_t workers = jobs_.back()->workers();
  if (std::ssize(parts) != workers || std::ssize(attempt.shards) != workers)
    world_.broken(
        fmt::format("step {} is committed with {} parts of {}", attempt.step, parts.size(), workers));
  for (const auto& [rank, state] : parts)
    if (state != expected_state(attempt.step))
      world_.broken(fmt::format("worker {} saved step {} after other steps than 1 to {}", rank, attempt.step,
                                attempt.step));
}

void SimulatedRun::abandon(std::int64_t step, comm::Epoch epoch) { world_.disk.parts.erase({epoch, step}); }

void SimulatedRun::step_finished(const StepView& step) {
  if (step.report.step != newest_step() + 1)
    world_.broken(fmt::format("step {} is told after step {}", step.report.step, newest_step()));
  world_.disk.metrics.push_back(step.report.step);
}

void SimulatedRun::evaluation_finished(const EvaluationSummary& evaluation) {
  std::vector<std::int64_t>& evaluations = world_.disk.evaluations;
  if (evaluation.step != newest_step() || (!evaluations.empty() && evaluations.back() >= evaluation.step))
    world_.broken(fmt::format("the evaluation of step {} is told after step {}, and {} of {}",
                              evaluation.step, newest_step(), counted(std::ssize(evaluations), "evaluation"),
                              evaluations.empty() ? 0 : evaluations.back()));
  evaluations.push_back(evaluation.step);
}

std::int64_t SimulatedRun::newest_step() const {
  return world_.disk.metrics.empty() ? 0 : world_.disk.metrics.back();
}

void SimulatedRun::note(Severity, const std::string& text) { world_.tell(text); }

void SimulatedRun::check_end() {
  const SimulatedDisk& disk = world_.disk;
  if (*end_ == End::kGivenUp && faults_.empty()) world_.broken("a run without faults is given up");
  if (*end_ != End::kFinished) return;
  if (!disk.checkpoints.contains(steps_))
    world_.broken("the run is finished, but its last step is not saved");
  if (std::ssize(disk.metrics) != steps_)
    world_.broken(fmt::format("the run is finished with {} of {} steps told", disk.metrics.size(), steps_));
  std::vector<std::int64_t> evaluations;
  for (std::int64_t step = 0; step <= steps_; ++step) {
    const bool between = evaluate_every_ > 0 && step % evaluate_every_ == 0;
    if (step == 0 || step == steps_ || between) evaluations.push_back(step);
    if (step > 0 && step % save_every_ == 0 && !disk.checkpoints.contains(step) &&
        !disk.failed_saves.contains(step))
      world_.broken(fmt::format("step {} was never saved", step));
  }
  if (disk.evaluations != evaluations)
    world_.broken(
        fmt::format("the run is finished with evaluations of steps {}", fmt::join(disk.evaluations, ", ")));
}

// ---- faults --------------------------------------------------------------------------------------

void SimulatedRun::strike_later() {
  if (faults_left_-- <= 0) return;
  world_.after(world_.random_duration(800ms), [this] {
    if (is_over()) return;
    strike();
    strike_later();
  });
}

void SimulatedRun::count(const std::string& fault) {
  ++faults_[fault];
  world_.tell("fault: " + fault);
}

void SimulatedRun::strike() {
  if (!process_lives_ || !actors_ || jobs_.empty()) return;
  SimulatedJob& job = *jobs_.back();
  struck_ = true;
  const std::int64_t rank = world_.random_below(job.workers());
  switch (world_.random_below(12)) {
    case 0:
      count("a worker is killed");
      return job.kill(rank);
    case 1:
      count("a worker is frozen for a while");
      return job.freeze(rank, world_.random_duration(3s));
    case 2:
      count("a worker is frozen for long");
      return job.freeze(rank, 1min);
    case 3:
      count("a worker hangs");
      return job.hang(rank);
    case 4:
      count("a link loses a frame");
      return job.break_link(rank);
    case 5:
      count("a worker is cut off for a while");
      cut_off_ = true;
      return job.partition(rank, world_.random_duration(20s));
    case 6:
      count("all workers are cut off, and the coordinator is killed");
      for (std::int64_t every = 0; every < job.workers(); ++every)
        job.partition(every, world_.random_duration(20s));
      crashes_ = true;
      return;
    case 7:
      count("the coordinator is killed");
      crashes_ = true;
      return;
    case 8:
      count("the coordinator is killed in a commit");
      commit_fault_ = world_.random_below(2) == 0 ? CommitFault::kKilledBefore : CommitFault::kKilledAfter;
      return;
    case 9:
      count("the disk is full");
      commit_fault_ = CommitFault::kDiskFull;
      return;
    case 10:
      count("the next start fails");
      next_start_fails_ = true;
      return job.kill(rank);
    case 11:
      count(kStopRequest);
      stop_asked_at_ = newest_step();
      (void)actors_->controller.send(StopRequested{"SIGTERM", 0});
      return;
  }
}

}  // namespace troupe::coordinator
