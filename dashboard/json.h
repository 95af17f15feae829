#pragma once
// Private to dashboard/*.cpp: records as JSON.
#include <nlohmann/json.hpp>

#include "dashboard/records.h"

namespace troupe::dashboard {

/// Of the lines of metrics.jsonl (docs/observability.md). 1 had an object per layer; readers know both.
inline constexpr int kMetricsSchema = 2;

/// Text that may not be valid UTF-8 (a model wrote it) becomes valid.
[[nodiscard]] std::string dump(const nlohmann::json& json);

/// A number, or null where JSON has none (NaN, infinities).
[[nodiscard]] nlohmann::json number(double value);
[[nodiscard]] nlohmann::json numbers(const std::map<std::string, double>& values);

/// {name: [layers]} of all that the layers have: counts packed (layout/packed_counts.h), numbers to six
/// digits, null where a layer lacks what another one has. At a line's end a column may be shorter.
[[nodiscard]] nlohmann::json layer_columns(const std::vector<LayerRecord>& layers);
[[nodiscard]] nlohmann::json to_json(const EvaluationRecord& evaluation);
[[nodiscard]] nlohmann::json to_json(const SampleRecord& sample);
[[nodiscard]] nlohmann::json to_json(const CheckpointRecord& checkpoint);
[[nodiscard]] nlohmann::json to_json(const WorkerRecord& worker);
[[nodiscard]] nlohmann::json to_json(const RestartRecord& restart);

/// counts / mean(counts), rounded to three digits after the point.
[[nodiscard]] std::vector<float> relative_load(const std::vector<std::int64_t>& counts);

}  // namespace troupe::dashboard
