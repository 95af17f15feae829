#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "experts/router/step_context.h"
#include "layout/layout.h"
#include "layout/load_statistics.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// A worker's microbatches that go forward before the first of them goes backward: those whose load a
/// balance loss counts. With scope `global` all of a step, with `running` an accumulation step, else 1.
[[nodiscard]] std::int64_t microbatches_together(const model::ModelOptions& options,
                                                 const layout::Layout& layout);

/// Pairs routed so far in the batch under way, on all workers: what balance losses of the scopes `global` and
/// `running` take f from (arXiv 2501.11873, algorithm 1). Integers, so exact in every layout.
class BatchCounts {
 public:
  /// load: of the model's layers; its first two tables are counted
  BatchCounts(const TrainingOptions& options, const layout::LoadStatistics& load);

  /// When all microbatches of an accumulation step are forward. so_far: this worker's counts, then unbiased
  /// ones, of the batch, [words()] or more. Collective where a loss asks for it.
  void end_accumulation_step(int accumulation_step, std::span<const std::int64_t> so_far,
                             comm::Communicator& world);

  /// Gives a microbatch of accumulation step `accumulation_step` the counts it may see.
  void show(int accumulation_step, experts::StepContext& context) const;

  [[nodiscard]] std::int64_t words() const { return words_; }
  /// Of all accumulation steps that are summed.
  [[nodiscard]] std::int64_t summed_words() const { return std::ssize(sums_); }
  /// Collectives of a step.
  [[nodiscard]] std::int64_t reductions() const { return words_ == 0 ? 0 : summed_words() / words_; }

 private:
  [[nodiscard]] std::span<const std::int64_t> row(int accumulation_step) const;

  int accumulation_steps_;
  bool every_accumulation_step_;  // is summed; else the last one
  std::int64_t words_;
  std::vector<std::int64_t> sums_;  // [accumulation steps or 1, words]; empty: no loss asks for them
};

}  // namespace troupe::workers
