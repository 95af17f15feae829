#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>

#include "base/clock.h"
#include "base/file.h"
#include "coordinator/run/run_observer.h"
#include "dashboard/jsonl_sink.h"
#include "dashboard/metrics_hub.h"

namespace troupe::cli {

/// Hands what the coordinator sees of a run to the dashboard, to metrics.jsonl, and texts to samples.txt. A
/// file that cannot be written is warned of, once, and again when it can. The references must outlive it.
class MetricsObserver final : public coordinator::RunObserver {
 public:
  /// samples: file that texts are appended to. Throws kIo.
  MetricsObserver(dashboard::MetricsHub& hub, dashboard::JsonlSink& file,
                  const std::filesystem::path& samples, const Clock& clock);

  void state_changed(coordinator::RunState state) override;
  void step_finished(const coordinator::StepView& step) override;
  void worker_step_finished(const comm::StepFinished& report) override;
  void evaluation_finished(const coordinator::EvaluationSummary& evaluation) override;
  void sample_finished(const comm::SampleFinished& sample) override;
  void checkpoint_settled(const coordinator::CheckpointView& checkpoint) override;
  void membership_changed(const coordinator::MembershipView& membership) override;
  void stragglers_changed(const std::map<std::int64_t, coordinator::Straggler>& stragglers) override;
  void note(coordinator::Severity severity, const std::string& text) override;
  void restarted(const dashboard::RestartRecord& restart);

 private:
  /// Runs `write`; a device that is full now costs these lines, not the run.
  void keep(const std::filesystem::path& file, const std::function<void()>& write);

  dashboard::MetricsHub& hub_;
  dashboard::JsonlSink& file_;
  std::filesystem::path samples_path_;
  FileDescriptor samples_;
  const Clock& clock_;
  std::map<std::filesystem::path, std::int64_t> lost_;  // writes since the last that succeeded
};

}  // namespace troupe::cli
