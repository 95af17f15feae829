#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "experts/balancer/balancer.h"
#include "layout/load_statistics.h"
#include "model/model.h"
#include "optimizer/sharded_adamw.h"
#include "workers/step/loss_window.h"
#include "workers/step/partition.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// Counters that cross steps; part of every checkpoint.
struct TrainingCounters {
  std::int64_t step = 0;              // finished steps, skipped ones included
  std::int64_t updates = 0;           // steps that changed the weights
  std::int64_t next_sequence = 0;     // data cursor: sequences consumed
  std::int64_t tokens = 0;            // consumed
  std::int64_t skipped_in_a_row = 0;  // up to `step`
  [[nodiscard]] std::int64_t skipped() const { return step - updates; }
  bool operator==(const TrainingCounters&) const = default;
};

/// What training adds to a model and crosses a step border, as one worker holds it. A checkpoint is the
/// model's values and this, cut by ownership; the rest of a worker can be thrown away between two steps.
class TrainingState {
 public:
  TrainingState(const TrainingOptions& options, const model::Model& model);

  Partition partition;
  optimizer::ShardedAdamW dense_adamw;
  optimizer::ShardedAdamW expert_adamw;
  std::vector<std::unique_ptr<experts::Balancer>> balancers;  // [moe layers]
  layout::LoadCounts previous_counts;           // of the last global batch; zero before the first
  layout::LoadCounts previous_unbiased_counts;  // the same without bias
  TrainingCounters counters;
  LossWindow recent_losses;  // filled where loss spikes are looked for

  /// Moves every balancer by one global batch, and the model's bias with it, and keeps the counts for the
  /// next step's losses.
  ///   load: of the batch; tokens: routed tokens of it
  void balance(const layout::LoadStatistics& load, std::int64_t tokens, double rate, model::Model& model);
  /// The model's bias from the balancers, after these were restored from outside.
  void refresh_bias(model::Model& model) const;
};

}  // namespace troupe::workers
