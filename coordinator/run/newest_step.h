#pragma once
#include <atomic>
#include <cstdint>

#include "coordinator/run/run_observer.h"

namespace troupe::coordinator {

/// The last finished step, for whoever tells of a failure after the actors are gone.
class NewestStep final : public RunObserver {
 public:
  explicit NewestStep(std::int64_t first_step) : step_(first_step) {}
  [[nodiscard]] std::int64_t step() const { return step_.load(); }

  void step_finished(const StepView& step) override { step_.store(step.report.step); }

 private:
  std::atomic<std::int64_t> step_;
};

}  // namespace troupe::coordinator
