#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/recovery/restart_policy.h"
#include "coordinator/run/run_actors.h"
#include "tests/coordinator/simulation/simulated_job.h"

namespace troupe::coordinator {

/// A whole run in virtual time, over all its starts: the actors and the restart policy are the real ones, the
/// command around them does as `troupe train`, and is started again when it was killed. Faults strike it at
/// random; whatever they are, only one epoch commits, no step, evaluation or save is left out or done twice,
/// every checkpoint is complete, no start of workers fails that nothing struck, a request to stop is heard,
/// and the run ends.
class SimulatedRun final : private CheckpointCommits, private RunObserver {
 public:
  struct Options {
    std::uint64_t seed = 0;
    bool tells = false;  // every event, on stdout
  };
  enum class End { kFinished, kGivenUp, kNever };

  explicit SimulatedRun(const Options& options);
  ~SimulatedRun() override;

  [[nodiscard]] End run();
  /// Invariants that did not hold.
  [[nodiscard]] const std::vector<std::string>& problems() const { return world_.problems; }
  /// What struck, by name, and how often.
  [[nodiscard]] const std::map<std::string, int>& faults() const { return faults_; }
  [[nodiscard]] comm::Epoch epochs() const { return world_.disk.epoch; }

 private:
  // As storage's store, on the simulated disk.
  [[nodiscard]] CommittedCheckpoint commit(const CheckpointAttempt& attempt) override;
  void abandon(std::int64_t step, comm::Epoch epoch) override;
  void check_complete(const CheckpointAttempt& attempt);

  void state_changed(RunState) override {}
  void step_finished(const StepView& step) override;
  void worker_step_finished(const comm::StepFinished&) override {}
  void evaluation_finished(const EvaluationSummary& evaluation) override;
  void checkpoint_settled(const CheckpointView&) override {}
  void membership_changed(const MembershipView&) override {}
  void note(Severity severity, const std::string& text) override;

  // The command.
  void start_process();
  void begin_epoch(std::int64_t workers);
  void end_epoch();
  void react(const RunOutcome& outcome);
  void check_outcome(const RunOutcome& outcome);
  void crash();
  [[nodiscard]] bool is_over() const { return end_.has_value() || !world_.problems.empty(); }

  void strike_later();
  void strike();
  void count(const std::string& fault);
  void check_end();
  [[nodiscard]] std::int64_t newest_step() const;

  SimulatedWorld world_;
  ElasticOptions elastic_;
  std::int64_t steps_;
  std::int64_t save_every_;
  std::int64_t evaluate_every_;
  std::int64_t plan_steps_;
  std::int64_t asked_workers_;
  std::int64_t faults_left_;
  std::map<std::string, int> faults_;

  std::optional<RestartPolicy> policy_;  // of this process
  bool process_lives_ = false;
  bool crashes_ = false;  // in this event
  enum class CommitFault { kNone, kDiskFull, kKilledBefore, kKilledAfter };
  CommitFault commit_fault_ = CommitFault::kNone;
  bool next_start_fails_ = false;
  // Of this epoch:
  bool struck_ = false;                        // by something that may end it
  bool cut_off_ = false;                       // a worker, which then hears nothing
  std::optional<std::int64_t> stop_asked_at_;  // newest step then
  std::unique_ptr<comm::ControlServer> server_;
  std::optional<RunActors> actors_;
  std::optional<RunOutcome> outcome_;
  std::vector<std::unique_ptr<SimulatedJob>> jobs_;  // the last is this epoch's
  std::optional<End> end_;
};

}  // namespace troupe::coordinator
