#pragma once
#include <optional>

#include "base/clock.h"
#include "coordinator/run/run_observer.h"

namespace troupe::coordinator {

/// Measures how long a run stands still for lost workers: from the first that is told of a failure to the
/// first step after the new start, written to coordinator.log. Lives as long as the run.
class RecoveryTimer final : public RunObserver {
 public:
  /// `clock` must outlive it.
  explicit RecoveryTimer(const Clock& clock) : clock_(clock) {}

  void step_finished(const StepView& step) override;
  void note(Severity severity, const std::string& text) override;
  /// The workers are started again.
  void restarted() { restarted_ = true; }

 private:
  const Clock& clock_;
  std::optional<TimePoint> lost_at_;
  bool restarted_ = false;
};

}  // namespace troupe::coordinator
