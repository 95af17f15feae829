#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/control/messages/messages.h"
#include "coordinator/run/load_monitor.h"
#include "coordinator/run/run_observer.h"

namespace troupe::coordinator {

/// Where the run stands by its workers' reports, and who is told of it: each step of each rank once.
class RunProgress {
 public:
  /// first_step: finished before this process began. `observer` must outlive this.
  RunProgress(comm::Epoch epoch, std::int64_t world_size, std::int64_t first_step, std::int64_t last_step,
              RunObserver& observer);

  /// Loads of a step before the first, for the windows over steps. Oldest first, before any report.
  void remember(std::span<const comm::LayerLoad> loads) { static_cast<void>(loads_.observe(loads)); }
  /// time: seconds since the Unix epoch. A step that the rank reported before is ignored.
  void report(const comm::StepFinished& report, double time);

  /// Newest step that worker 0 finished.
  [[nodiscard]] std::int64_t step() const { return newest_step_.front(); }
  [[nodiscard]] std::optional<double> loss() const { return loss_; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

 private:
  void report_run(const comm::StepFinished& report, double time);

  comm::Epoch epoch_;
  std::int64_t last_step_;
  RunObserver& observer_;
  LoadMonitor loads_;
  std::vector<std::int64_t> newest_step_;  // by rank
  std::optional<double> loss_;
  std::int64_t tokens_ = 0;
};

}  // namespace troupe::coordinator
