#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "configs/run_config.h"
#include "layout/load_counts.h"
#include "layout/placement_plan.h"

namespace troupe::cli {

/// Measured load of a run's experts, and where it was found.
struct MeasuredLoad {
  std::string source;
  layout::LoadCounts counts;  // [MoE layers, experts]
};

/// path: a run's folder (the last steps of its metrics.jsonl; without one its newest checkpoint) or a
/// checkpoint (the counts of its last batch). Throws kConfig when the run has other layers or experts than
/// the configuration, kCorrupt for files that cannot be read.
[[nodiscard]] MeasuredLoad read_measured_load(const std::filesystem::path& path,
                                              const configs::RunConfig& config);

/// What placing experts by that load would change, from contiguous experts.
struct PlacementDescription {
  std::string source;
  std::int64_t workers = 1;
  std::int64_t expert_parallel = 1;
  layout::PlacementPlan plan;
  std::vector<std::int64_t> layers;     // index among all layers, of each layer with experts
  std::int64_t bytes_of_an_expert = 0;  // to move one: weights and two moments, all replicas

  /// Share of the time in routed experts that is no longer spent waiting for the busiest worker.
  [[nodiscard]] double saving() const;
};

[[nodiscard]] PlacementDescription describe_placement(const configs::RunConfig& config,
                                                      std::int64_t vocab_size, std::int64_t cores,
                                                      const MeasuredLoad& load);

[[nodiscard]] std::string to_text(const PlacementDescription& description);
[[nodiscard]] std::string to_json(const PlacementDescription& description);

}  // namespace troupe::cli
