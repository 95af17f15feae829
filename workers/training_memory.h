#pragma once
#include <cstdint>

#include "layout/layout.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// What the objects of one worker that trains allocate, in bytes, by what it is for.
struct TrainingMemory {
  std::int64_t parameters = 0;
  std::int64_t gradient_lanes = 0;  // with a microbatch's, where that is not a lane's
  std::int64_t reduction = 0;       // sums of all lanes of the owned slices, and what travels
  std::int64_t optimizer_state = 0;
  std::int64_t activations = 0;  // of the microbatches that are held, experts evenly used
  std::int64_t statistics = 0;   // load and losses of a step
  std::int64_t saved_copy = 0;   // of what a checkpoint writes while training goes on
  std::int64_t snapshots = 0;    // two copies of the same in shared memory

  [[nodiscard]] std::int64_t total() const {
    return parameters + gradient_lanes + reduction + optimizer_state + activations + statistics + saved_copy +
           snapshots;
  }
};

/// Of the worker that holds the most, from the first step and the first save on; a function of sizes.
/// corpus_domains: as model_setup()'s
[[nodiscard]] TrainingMemory training_memory(const TrainingOptions& options, const layout::Layout& layout,
                                             std::int64_t corpus_domains = 0);

}  // namespace troupe::workers
