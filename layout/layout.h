#pragma once
#include <cstdint>
#include <vector>

#include "layout/placement.h"

namespace troupe::layout {

/// What of a batch is computed together. Part of the run's meaning.
struct BatchShape {
  int accumulation_steps = 1;  // T: microbatches of one lane
  int grad_lanes = 1;          // S
  int expert_lanes = 1;        // X
  int micro_batch = 1;         // sequences of a microbatch
  bool operator==(const BatchShape&) const = default;
  [[nodiscard]] std::int64_t sequences() const {
    return static_cast<std::int64_t>(accumulation_steps) * grad_lanes * micro_batch;
  }
};

/// Who computes what: pure functions of (batch shape, workers, replicas, placement). Never changes a bit of
/// the result (docs/architecture.md, "Layout invariance", states the orders; tests/layout walks them).
///
/// W workers; worker w owns the lanes s ≡ w (mod W). With R replicas of every expert, R | W and R | X,
/// group r has the workers w ≡ r (mod R), ascending; its EP = W / R workers hold all experts between
/// them, ⌊N/EP⌋ or ⌈N/EP⌉ each, contiguous unless a placement says otherwise; how many a position holds never
/// changes, so buffers keep their sizes. Replicas of the same experts are the workers with equal
/// position ⌊w / R⌋.
class Layout {
 public:
  /// Throws kConfig when the numbers do not fit together.
  Layout(const BatchShape& batch, int workers, int expert_parallel, int experts);

  [[nodiscard]] const BatchShape& batch() const { return batch_; }
  [[nodiscard]] int workers() const { return workers_; }
  [[nodiscard]] int expert_parallel() const { return workers_ / replicas_; }
  [[nodiscard]] int replicas() const { return replicas_; }
  [[nodiscard]] int experts() const { return experts_; }

  /// Waves of one accumulation step: ⌈S / W⌉.
  [[nodiscard]] int waves() const;
  /// Lane that a worker computes in a wave, or -1 when none is left for it.
  [[nodiscard]] int lane(int worker, int wave) const;
  /// Lanes of a worker, ascending.
  [[nodiscard]] std::vector<int> lanes_of(int worker) const;
  /// First sequence of microbatch (accumulation step, lane) within the global batch.
  [[nodiscard]] std::int64_t first_sequence(int accumulation_step, int lane) const;

  [[nodiscard]] int group(int worker) const { return worker % replicas_; }
  [[nodiscard]] int position(int worker) const { return worker / replicas_; }
  [[nodiscard]] int worker(int group, int position) const { return position * replicas_ + group; }

  /// Expert lanes that a group accumulates, x ≡ group (mod R), ascending.
  [[nodiscard]] std::vector<int> expert_lanes_of(int group) const;
  /// Expert lane of a lane: s mod X.
  [[nodiscard]] int expert_lane(int lane) const { return lane % batch_.expert_lanes; }

  /// The same layout with experts elsewhere. placement: [MoE layers]
  /// Throws kConfig when a layer has other experts or positions, or a position more or fewer experts than
  /// by contiguous numbers.
  [[nodiscard]] Layout with_placement(Placement placement) const;
  /// Positions of the experts of a MoE layer.
  [[nodiscard]] const LayerPlacement& placement(std::size_t moe_layer) const;
  /// Of every layer of a model.
  [[nodiscard]] Placement placements(std::size_t moe_layers) const;

 private:
  BatchShape batch_;
  int workers_;
  int replicas_;
  int experts_;
  LayerPlacement contiguous_;
  Placement placement_;  // empty: contiguous in every layer
};

/// Elements of one chunk: sums over parameters are made by chunk, slices begin at chunk borders.
inline constexpr std::int64_t kChunkElements = 64 * 1024;

/// Cuts a buffer of parameters into `ranks` slices of about equal size that begin at a parameter's
/// chunk borders. parameter_begin: [parameters + 1], offsets of the parameters in the buffer,
/// ascending. Returns [ranks + 1] offsets; some slices may be empty.
[[nodiscard]] std::vector<std::int64_t> slice_by_chunks(const std::vector<std::int64_t>& parameter_begin,
                                                        int ranks);

}  // namespace troupe::layout
