#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "layout/load_counts.h"
#include "layout/placement.h"

namespace troupe::layout {

/// Layers move only when their busiest position gets at least this much less to do, so that noise in the
/// counts does not carry experts around.
inline constexpr int kMinimumGainPercent = 5;

/// What becomes of one layer. Loads are routed pairs: [positions].
struct LayerPlan {
  std::vector<std::int64_t> load_before;
  std::vector<std::int64_t> load_after;  // the same where the layer stays as it is
  int moved_experts = 0;
};

/// A placement and what it is expected to change.
struct PlacementPlan {
  Placement placement;            // [MoE layers]
  std::vector<LayerPlan> layers;  // [MoE layers]

  [[nodiscard]] int moved_experts() const;
  [[nodiscard]] int moved_layers() const;
  /// Load of each layer's busiest position, summed over layers, relative to the mean position: what a step
  /// waits for, since layers come one after the other. 1 = even; 0 without any load.
  [[nodiscard]] double imbalance_before() const;
  [[nodiscard]] double imbalance_after() const;
};

/// max(load) / mean(load) over positions: 1 = even; 0 without any load.
[[nodiscard]] double imbalance(std::span<const std::int64_t> load);

/// Greedy packing, as EPLB's (github.com/deepseek-ai/EPLB): experts by descending load, ties by lower id,
/// each to the least loaded position that has room; among equals where it is, else the lowest position. Every
/// position keeps its number of experts. Pure integers: the same on every worker.
///   load: [experts], routed pairs
[[nodiscard]] LayerPlacement pack_experts(const LayerPlacement& current, std::span<const std::int64_t> load);

/// Packs every layer for which it pays. load: [MoE layers, at least the experts]
/// Throws kInternal when the layers do not match.
[[nodiscard]] PlacementPlan plan_placement(const Placement& current, const LoadCounts& load,
                                           int minimum_gain_percent = kMinimumGainPercent);

}  // namespace troupe::layout
