#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/lane_reduction.h"
#include "model/model.h"
#include "workers/step/partition.h"

namespace troupe::workers {

/// Elements of memory for what travels while lanes are summed.
[[nodiscard]] std::int64_t reduction_scratch(const layout::Layout& layout,
                                             const std::vector<std::int64_t>& dense_slices,
                                             const std::vector<std::int64_t>& expert_slices);

/// Later accumulation steps need room for a microbatch's gradient beside the lane's, and so do collectives
/// that a worker joins without a lane.
[[nodiscard]] bool needs_microbatch_gradient(const layout::Layout& layout, int worker);

/// One worker's gradients between backward and update: a dense buffer for each lane that it computes, an
/// expert buffer for each expert lane of its group, and the sums of all lanes of all workers, cut by
/// ownership (docs/architecture.md, "Layout invariance", rules 3 and 4). Allocates nothing after its
/// construction.
class GradientLanes {
 public:
  /// Collective. The model must outlive it; `partition` is read now.
  GradientLanes(const model::Model& model, const Partition& partition);

  /// Before a step's first backward pass.
  void clear();
  /// Where the backward pass of a microbatch writes, until the next call.
  [[nodiscard]] model::Gradients of(int accumulation_step, int wave);
  /// Adds what that pass wrote to its lane, if this worker has one in the wave.
  void add(int accumulation_step, int wave);

  /// Sums all lanes of all workers. Collective.
  void reduce();
  /// The sums of the slices that this worker owns, until the next reduce().
  [[nodiscard]] std::span<const float> dense_total() const { return dense_total_; }
  [[nodiscard]] std::span<const float> expert_total() const { return expert_total_; }

 private:
  [[nodiscard]] bool has_lane(int wave) const;
  void set_sources(int wave);

  const model::Model& model_;
  // A lane's buffer is complete after its last accumulation step; with one accumulation step it is the
  // microbatch's.
  std::vector<std::vector<float>> dense_lanes_;
  std::vector<std::vector<float>> expert_lanes_;
  std::vector<float> microbatch_;  // where it is not a lane's; may be empty
  std::vector<std::span<float>> expert_views_;
  std::vector<std::span<const float>> dense_reduced_;  // the lanes above, as reductions read them
  std::vector<std::span<const float>> expert_reduced_;
  std::vector<int> lane_of_source_;  // [group size], of the current wave
  std::vector<float> scratch_;       // of both reductions
  comm::LaneReduction dense_reduction_;
  comm::LaneReduction expert_reduction_;
  std::span<const float> dense_total_;
  std::span<const float> expert_total_;
};

}  // namespace troupe::workers
