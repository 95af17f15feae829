#pragma once
#include <cstdint>

#include "comm/control/messages/messages.h"
#include "coordinator/options.h"

namespace troupe::coordinator {

/// When a run evaluates, samples and saves.
struct ScheduleOptions {
  RunOptions run;
  EvaluationOptions evaluation;
  SamplingOptions sampling;
  CheckpointOptions checkpoint;
  std::int64_t plan_steps = 16384;  // that one plan covers; half of them are left when the next one is due
};

/// Turns the options into step plans: pure. A plan covers many steps, so that the workers never wait for
/// the coordinator; a long run gets several, each published long before the one before it is used up.
///
/// Step n is the boundary after the n-th update, step 0 the one before any. Events of a run:
/// full evaluation at step 0 and at the last step, in between every `evaluation.every`; samples every
/// `sampling.every` and at the last step; a save every `checkpoint.every` and at the last step.
/// What happens does not depend on where a run was interrupted: `stop_after` adds only its own save.
class StepScheduler {
 public:
  explicit StepScheduler(const ScheduleOptions& options) : options_(options) {}

  /// The plan of boundaries first_step .. first_step + plan_steps, cut at the run's last step.
  [[nodiscard]] comm::StepPlan plan(std::int64_t version, std::int64_t first_step) const;

  /// First boundary whose events belong to a run that loaded the checkpoint of `step`: those at `step` itself
  /// were done before it was saved, unless its evaluation was broken off (`evaluated`: it is in the metrics).
  /// A fresh run begins with boundary 0.
  [[nodiscard]] std::int64_t first_boundary(std::int64_t step, bool evaluated) const;

  /// True when a plan should be followed by the next one, `step` being the newest finished.
  [[nodiscard]] bool renewal_due(const comm::StepPlan& plan, std::int64_t step) const;

 private:
  [[nodiscard]] bool evaluates_fully(std::int64_t step) const {
    return step == 0 || step == options_.run.steps;
  }
  [[nodiscard]] bool evaluates(std::int64_t step) const;
  void add_events(comm::StepPlan& plan, std::int64_t step) const;

  ScheduleOptions options_;
};

}  // namespace troupe::coordinator
