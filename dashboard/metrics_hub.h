#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dashboard/records.h"

namespace troupe::dashboard {

/// Keeps what the page and Prometheus show of one run, in bounded memory: when a history is full,
/// every second entry is dropped and from then on only every second step is kept. Steps that come again after
/// a failure have the same values and add nothing to a history. Thread-safe: the coordinator records, HTTP
/// sessions read. Answers are JSON texts (shapes: docs/observability.md).
class MetricsHub {
 public:
  static constexpr std::size_t kCurvePoints = 4096;
  static constexpr std::size_t kLoadFrames = 256;
  static constexpr std::size_t kEvents = 256;  // for event streams that lag

  /// number: among the runs of one page; every event says it as "run".
  explicit MetricsHub(RunInfo info, std::size_t number = 0);

  [[nodiscard]] std::string name() const;

  void record(const StepRecord& step);
  void record(const EvaluationRecord& evaluation);
  void record(const SampleRecord& sample);
  void record(const CheckpointRecord& checkpoint);
  /// Counted, and after a roll-back the histories forget the steps after it; a note says it to people.
  void record(const RestartRecord& restart);
  /// Of a rank's last step; shown with the workers.
  void record_phases(std::int64_t rank, const std::map<std::string, double>& phase_seconds);
  void set_workers(std::vector<WorkerRecord> workers, std::int64_t epoch);
  /// All that are slow now.
  void set_stragglers(std::vector<StragglerRecord> stragglers);
  void set_folder(const std::string& folder);
  void set_state(const std::string& state);
  void note(const std::string& severity, const std::string& text);

  /// Called, on the recording thread, after every record; must be short.
  void set_listener(std::function<void()> listener);

  /// {"run", "state", "workers", "step", "evaluations", "samples", "checkpoints", "notes"}
  [[nodiscard]] std::string state_json() const;
  /// {"steps": […], "metrics": {name: […]}}: the curves.
  [[nodiscard]] std::string history_json() const;
  /// {"layers": […], "frames": [{"step", "load": [[…]]}]}: c / mean(c) by layer and expert.
  [[nodiscard]] std::string loads_json() const;
  /// {"layers": [{"layer", "domains": {"step", "counts"}, "co_activation": {"step", "counts"}}]}: the newest
  /// tables, which not every step brings.
  [[nodiscard]] std::string shares_json() const;
  /// Prometheus' text format 0.0.4.
  [[nodiscard]] std::string prometheus(bool per_expert) const;

  struct Events {
    std::string text;        // server-sent events, each "event: …\ndata: …\n\n"
    std::uint64_t next = 0;  // pass to the next call
  };
  /// Events from number `from` on, as far as they are still kept. Of the workers, only the newest state, and
  /// that is written for its readers, not for its recorder: {"workers", "phases", "epoch"}.
  [[nodiscard]] Events events_since(std::uint64_t from) const;
  [[nodiscard]] std::uint64_t next_event() const;

 private:
  // A history that halves its resolution when it is full.
  struct Thinning {
    std::int64_t stride = 1;
    std::int64_t seen = 0;
    bool keep_next() { return seen++ % stride == 0; }
  };
  // The newest tables of a layer.
  struct Table {
    std::int64_t step = 0;
    std::vector<std::int64_t> counts;
  };
  struct Shares {
    Table domains;        // [domains * experts]
    Table co_activation;  // [experts * experts]
  };
  struct LoadFrame {
    std::int64_t step;
    std::vector<std::vector<float>> load;  // [layers][experts]
  };

  void forget_after(std::int64_t step);
  void keep_curve_point(const StepRecord& step);
  void keep_load_frame(const StepRecord& step);
  void keep_shares(const StepRecord& step);
  void publish(const std::string& event, nlohmann::json data);
  void append_event(std::string text);

  const std::size_t number_;
  mutable std::mutex mutex_;
  RunInfo info_;
  std::string state_ = "starting";
  StepRecord latest_;
  Thinning curve_thinning_;
  std::vector<std::int64_t> curve_steps_;
  std::map<std::string, std::vector<double>> curves_;  // each as long as curve_steps_; NaN where missing
  Thinning frame_thinning_;
  std::vector<LoadFrame> frames_;
  std::map<std::int64_t, Shares> shares_;  // by layer
  std::vector<EvaluationRecord> evaluations_;
  std::deque<SampleRecord> samples_;
  std::vector<CheckpointRecord> checkpoints_;
  std::vector<WorkerRecord> workers_;
  std::vector<StragglerRecord> stragglers_;
  std::map<std::int64_t, std::map<std::string, double>> phases_;
  std::deque<std::pair<std::string, std::string>> notes_;  // severity, text
  std::int64_t checkpoint_failures_ = 0;
  std::int64_t restarts_ = 0;
  std::int64_t roll_backs_ = 0;
  std::int64_t restart_epoch_ = 0;  // of the last that was counted: a file may be read again
  std::deque<std::string> events_;
  std::uint64_t first_event_ = 0;
  std::uint64_t workers_until_ = 0;  // who reads from an earlier event has not seen the newest workers
  std::function<void()> listener_;
};

/// The runs of one page, each with its number: one that trains, or those that are viewed.
using HubList = std::vector<MetricsHub*>;

}  // namespace troupe::dashboard
