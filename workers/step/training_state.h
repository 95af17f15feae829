#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "experts/balancer/balancer.h"
#include "layout/load_statistics.h"
#include "optimizer/sharded_adamw.h"
#include "workers/step/partition.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Counters that cross steps; part of every checkpoint.
struct TrainingCounters {
  std::int64_t step = 0;           // finished steps, skipped ones included
  std::int64_t updates = 0;        // steps that changed the weights
  std::int64_t next_sequence = 0;  // data cursor: sequences consumed
  std::int64_t tokens = 0;         // consumed
  bool operator==(const TrainingCounters&) const = default;
};

/// Everything of a run that crosses a step border, as one worker holds it. A checkpoint is its content,
/// cut by ownership; the rest of a worker can be thrown away between two steps.
class TrainingState {
 public:
  /// Initial values: a pure function of the options, the same for every layout.
  TrainingState(const TrainingOptions& options, const Partition& partition);

  std::vector<float> dense_values;
  std::vector<float> expert_values;
  optimizer::ShardedAdamW dense_adamw;
  optimizer::ShardedAdamW expert_adamw;
  std::vector<std::unique_ptr<experts::Balancer>> balancers;  // [moe layers]
  layout::LoadCounts previous_counts;           // of the last global batch; zero before the first
  layout::LoadCounts previous_unbiased_counts;  // the same without bias
  TrainingCounters counters;

  /// [moe layers, choices], for the model's next forward; zero-compute experts have none.
  [[nodiscard]] std::span<const float> bias() const { return bias_; }
  /// Moves every balancer by one global batch and keeps the counts for the next step's losses.
  ///   load: of the batch; tokens: routed tokens of it
  void balance(const layout::LoadStatistics& load, std::int64_t tokens, double rate);
  /// After a balancer was restored from outside.
  void refresh_bias();

 private:
  std::int64_t choices_ = 0;
  std::vector<float> bias_;
};

}  // namespace troupe::workers
