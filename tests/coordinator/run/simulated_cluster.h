#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/deterministic_runtime.h"
#include "comm/control/simulated/simulated.h"
#include "coordinator/checkpoints/checkpoint_commits.h"
#include "coordinator/run/run_actors.h"

namespace troupe::coordinator {

/// Everything that a run told its observer.
class RecordingObserver final : public RunObserver {
 public:
  void state_changed(RunState state) override { states.push_back(state); }
  void step_finished(const StepView& step) override { steps.push_back(step.report.step); }
  void worker_step_finished(const comm::StepFinished& report) override {
    ++worker_steps[{report.rank, report.step}];
  }
  void evaluation_finished(const EvaluationSummary& evaluation) override {
    evaluations.push_back(evaluation.step);
  }
  void checkpoint_settled(const CheckpointView& checkpoint) override { checkpoints.push_back(checkpoint); }
  void membership_changed(const MembershipView& membership) override {
    newest_membership = membership;
    ++membership_changes;
  }
  void note(Severity severity, const std::string& text) override { notes.emplace_back(severity, text); }

  [[nodiscard]] bool noted(const std::string& part) const;

  std::vector<RunState> states;
  std::vector<std::int64_t> steps;
  std::map<std::pair<std::int64_t, std::int64_t>, int> worker_steps;  // (rank, step) → times
  std::vector<std::int64_t> evaluations;
  std::vector<CheckpointView> checkpoints;
  MembershipView newest_membership;
  int membership_changes = 0;
  std::vector<std::pair<Severity, std::string>> notes;
};

/// Commits by remembering; fails the test when it is asked to commit what is not complete.
class RecordingCommits final : public CheckpointCommits {
 public:
  explicit RecordingCommits(std::int64_t world_size) : world_size_(world_size) {}

  CommittedCheckpoint commit(const CheckpointAttempt& attempt) override;
  void abandon(std::int64_t step, comm::Epoch epoch) override;

  std::vector<std::int64_t> committed;
  std::vector<std::int64_t> abandoned;
  std::optional<std::string> failure;  // of every commit, for example of a full disk

 private:
  std::int64_t world_size_;
};

class SimulatedWorker;

/// A coordinator's actors and W workers in virtual time. The workers do what real ones do at the control
/// plane: step together, agree on a stop by the maximum of what each knows, act at the borders that the plan
/// names.
class SimulatedCluster {
 public:
  struct Options {
    std::uint64_t seed = 1;
    std::int64_t workers = 3;
    std::int64_t steps = 12;
    std::int64_t first_step = 0;
    std::int64_t save_every = 5;
    Duration mailbox_delay = std::chrono::milliseconds(1);
    Duration longest_step = std::chrono::milliseconds(50);
    std::optional<std::int64_t> failing_shard =
        std::nullopt;  // rank that cannot write its part of any checkpoint
  };
  static constexpr comm::Epoch kEpoch = 7;

  explicit SimulatedCluster(const Options& options);
  ~SimulatedCluster();

  /// Starts all workers, at random moments.
  void start_workers();
  /// Starts one that says this in place of its own words.
  void start_worker(const comm::JoinRequested& identity);
  [[nodiscard]] comm::JoinRequested identity_of(std::int64_t rank) const;

  /// Its process dies; the rest of the job follows a second later, as with mpirun.
  void kill(std::int64_t rank);
  /// It stands still, and with it every step.
  void freeze(std::int64_t rank);
  void thaw(std::int64_t rank);
  /// The worker reports an error of its own, then dies.
  void break_down(std::int64_t rank, const std::string& error_code, const std::string& message);
  /// Has a worker say something.
  void say(std::int64_t rank, const comm::WorkerMessage& message);
  void request_stop();

  /// Runs until the run ended; false if it does not within an hour of virtual time.
  [[nodiscard]] bool run();
  void run_for(Duration duration) { runtime.run_for(duration); }
  void after(Duration delay, std::function<void()> action) { runtime.call_later(delay, std::move(action)); }

  [[nodiscard]] const RunOutcome& outcome() const { return outcome_.value(); }
  [[nodiscard]] bool has_ended() const { return outcome_.has_value(); }
  [[nodiscard]] std::int64_t trained_steps() const { return step_; }
  [[nodiscard]] std::int64_t dismissed_workers() const;

  Options options;
  actors::DeterministicRuntime runtime;
  comm::SimulatedNetwork network;
  RecordingObserver observer;
  RecordingCommits commits;
  std::unique_ptr<comm::ControlServer> server;
  actors::Address<RunControllerApi> controller;
  int outcomes = 0;

 private:
  friend class SimulatedWorker;

  void begin_training_when_ready();
  void begin_step();
  void finish_step();
  void border(bool stop);
  void save();
  void end_training();
  [[nodiscard]] bool stands_still() const;
  [[nodiscard]] Duration random_duration(Duration limit);

  std::optional<RunOutcome> outcome_;
  std::map<std::int64_t, std::unique_ptr<SimulatedWorker>> workers_;
  std::set<std::int64_t> frozen_;
  bool training_ = false;
  bool halted_ = false;      // a collective waits for a dead worker
  bool step_waits_ = false;  // for a frozen one
  std::int64_t step_ = 0;
  std::int64_t saved_step_ = -1;
};

}  // namespace troupe::coordinator
