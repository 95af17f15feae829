#pragma once
#include <cstdint>
#include <string>

#include "comm/control/messages/messages.h"

namespace troupe::workers {

/// What a training loop needs of the control plane. Thread-safe: with the inproc backend the loops
/// of a process share one.
class RunControl {
 public:
  virtual ~RunControl() = default;

  /// Version of the newest plan that arrived; 0 before the first.
  [[nodiscard]] virtual std::int64_t newest_plan_version() = 0;
  /// The newest plan, once it is at least of this version; throws kTimeout or kPeerLost when the
  /// coordinator does not send it.
  [[nodiscard]] virtual comm::StepPlan plan(std::int64_t version) = 0;
  /// Someone asked this worker to stop: the coordinator, or a signal.
  [[nodiscard]] virtual bool stop_requested() = 0;
  /// Never waits for the coordinator.
  virtual void report(comm::WorkerMessage message) = 0;
  /// What this worker is doing from now on: named when it falls silent or dies. Cheap.
  virtual void set_activity(std::int64_t step, const std::string& activity) = 0;
};

}  // namespace troupe::workers
