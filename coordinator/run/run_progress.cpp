#include "coordinator/run/run_progress.h"

#include <fmt/format.h>

#include "base/index.h"

namespace troupe::coordinator {

RunProgress::RunProgress(comm::Epoch epoch, std::int64_t world_size, std::int64_t first_step,
                         std::int64_t last_step, RunObserver& observer)
    : epoch_(epoch), last_step_(last_step), observer_(observer), newest_step_(at(world_size), first_step) {}

void RunProgress::report(const comm::StepFinished& report, double time) {
  std::int64_t& newest = newest_step_.at(at(report.rank));
  if (report.step <= newest) return;
  newest = report.step;
  if (report.rank == 0) report_run(report, time);
  observer_.worker_step_finished(report);
}

void RunProgress::report_run(const comm::StepFinished& report, double time) {
  tokens_ = report.tokens_total;
  if (const auto loss = report.metrics.find("loss"); loss != report.metrics.end()) loss_ = loss->second;
  const std::vector<LayerLoadStatistics> layers = loads_.observe(report.loads);
  observer_.step_finished({time, epoch_, last_step_, report, layers});
  if (!report.skip_reason.empty())
    observer_.note(Severity::kWarning, fmt::format("step {} was skipped, the weights are as before: {}",
                                                   report.step, report.skip_reason));
}

}  // namespace troupe::coordinator
