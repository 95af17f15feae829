#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "comm/control/messages/messages.h"
#include "coordinator/recovery/straggler_watch.h"
#include "coordinator/run/evaluation_summary.h"
#include "coordinator/run/load_monitor.h"

namespace troupe::coordinator {

enum class RunState { kWaitingForWorkers, kTraining, kStopping, kEnded };

[[nodiscard]] std::string_view to_string(RunState state);

/// One worker process as its heartbeats show it.
struct WorkerView {
  std::int64_t first_rank = 0;
  std::int64_t ranks = 1;
  std::string host;
  std::int64_t process_id = 0;
  double heartbeat_age_seconds = 0.0;
  bool suspected = false;  // silent for longer than a healthy worker is
  bool operator==(const WorkerView&) const = default;
};

struct MembershipView {
  comm::Epoch epoch = 0;
  std::int64_t world_size = 0;
  std::vector<WorkerView> workers;  // by rank
  bool operator==(const MembershipView&) const = default;
};

/// A finished step as worker 0 reports it, with what its counts say. Valid during the call.
struct StepView {
  double time = 0.0;  // seconds since the Unix epoch
  comm::Epoch epoch = 0;
  std::int64_t last_step = 0;  // of the run
  const comm::StepFinished& report;
  std::span<const LayerLoadStatistics> layers;  // as report.loads
};

struct CheckpointView {
  std::int64_t step = 0;
  std::string path;  // absolute; empty after a failure
  std::int64_t bytes = 0;
  double seconds = 0.0;  // from the first worker's report to the rename
  std::string error;     // empty on success
  bool operator==(const CheckpointView&) const = default;
};

enum class Severity { kInfo, kWarning, kError };

/// Who watches a run: the terminal, the metrics. Called by the run controller, one call at a time, never
/// after Coordinator's run function returned. Calls must be short: they hold up later reports, though no
/// step.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  virtual void state_changed(RunState /*state*/) {}
  virtual void step_finished(const StepView& /*step*/) {}
  /// Every rank's own timings of a step, worker 0's too: rank, step and phase_seconds.
  virtual void worker_step_finished(const comm::StepFinished& /*report*/) {}
  virtual void evaluation_finished(const EvaluationSummary& /*evaluation*/) {}
  virtual void sample_finished(const comm::SampleFinished& /*sample*/) {}
  virtual void checkpoint_settled(const CheckpointView& /*checkpoint*/) {}
  /// Soon after workers come, go, fall silent or come back, and once a second: not for each of them.
  virtual void membership_changed(const MembershipView& /*membership*/) {}
  /// Workers that are slower than the others, by rank; when that has changed.
  virtual void stragglers_changed(const std::map<std::int64_t, Straggler>& /*stragglers*/) {}
  /// One line for people and the log.
  virtual void note(Severity /*severity*/, const std::string& /*text*/) {}
};

}  // namespace troupe::coordinator
