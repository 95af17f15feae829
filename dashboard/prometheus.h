#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dashboard/records.h"

namespace troupe::dashboard {

/// What a scrape sees. Null: nothing of the kind yet.
struct PrometheusView {
  const RunInfo& info;
  const std::string& state;
  const StepRecord& step;
  const EvaluationRecord* evaluation;
  const CheckpointRecord* checkpoint;
  std::int64_t checkpoint_failures;
  std::int64_t restarts;
  std::int64_t roll_backs;
  const std::vector<WorkerRecord>& workers;
  const std::vector<StragglerRecord>& stragglers;
  const std::map<std::int64_t, std::map<std::string, double>>& phases;
};

/// Prometheus' text exposition format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): every
/// family with HELP and TYPE, prefix `troupe_`, counters end in `_total`. Per-expert series only when
/// asked for: there are layers * experts of each.
[[nodiscard]] std::string prometheus_text(const PrometheusView& view, bool per_expert);

}  // namespace troupe::dashboard
