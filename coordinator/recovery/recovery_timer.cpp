#include "coordinator/recovery/recovery_timer.h"

#include <fmt/format.h>

#include "base/log.h"

namespace troupe::coordinator {

void RecoveryTimer::note(Severity severity, const std::string& /*text*/) {
  if (severity == Severity::kError && !lost_at_) lost_at_ = clock_.now();
}

void RecoveryTimer::step_finished(const StepView& step) {
  if (!restarted_ || !lost_at_) return;
  log::to_file(log::Level::info, fmt::format("step {} is finished, {:.3f} s after workers were lost",
                                             step.report.step, seconds(clock_.now() - *lost_at_)));
  lost_at_.reset();
  restarted_ = false;
}

}  // namespace troupe::coordinator
