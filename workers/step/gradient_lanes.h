#pragma once
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "comm/collectives/device_lane_reduction.h"
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
  [[nodiscard]] ConstTensorView dense_total() const { return dense_total_; }
  [[nodiscard]] ConstTensorView expert_total() const { return expert_total_; }

 private:
  [[nodiscard]] bool has_lane(int wave) const;
  void set_sources(int wave);

  const model::Model& model_;
  using Reduction = std::variant<comm::LaneReduction, comm::DeviceLaneReduction>;  // by where the lanes are
  [[nodiscard]] ConstTensorView reduce(Reduction& reduction, std::span<const TensorView> lanes,
                                       std::span<const std::span<const float>> on_host);

  // A lane's buffer is complete after its last accumulation step; with one accumulation step it is the
  // microbatch's.
  std::vector<Tensor> dense_lanes_;
  std::vector<Tensor> expert_lanes_;
  Tensor microbatch_;  // where it is not a lane's; may be empty
  std::vector<TensorView> dense_views_;
  std::vector<TensorView> expert_views_;
  std::vector<std::span<const float>> dense_reduced_;  // the lanes above, as reductions on the host read them
  std::vector<std::span<const float>> expert_reduced_;
  std::vector<int> lane_of_source_;  // [group size], of the current wave
  std::vector<float> scratch_;       // of both reductions, on the host
  Reduction dense_reduction_;
  Reduction expert_reduction_;
  ConstTensorView dense_total_;
  ConstTensorView expert_total_;
};

}  // namespace troupe::workers
