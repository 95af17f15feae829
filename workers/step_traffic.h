#pragma once
#include <cstdint>

#include "comm/collectives/traffic.h"
#include "layout/layout.h"
#include "workers/training_options.h"

namespace troupe::workers {

/// What one worker sends to others in a step, by what it is for.
struct StepTraffic {
  comm::Traffic dispatch;       // tokens to their experts and back, forward and backward; experts evenly used
  comm::Traffic gradients;      // lanes to the owners of their slices
  comm::Traffic weights;        // owned slices to all that hold them
  std::int64_t reductions = 0;  // collectives in which all workers add up integers
  std::int64_t reduced_bytes = 0;  // of their integers together

  [[nodiscard]] comm::Traffic sent() const {
    comm::Traffic sum = dispatch;
    sum += gradients;
    return sum += weights;
  }
};

/// A function of sizes. Messages are exact, but where `parallel.dispatch.max_bytes` cuts what a worker
/// receives into pieces, and where `parallel.dispatch.hierarchical` takes the nodes from the machines, which
/// counts as the direct exchange; bytes are exact but for the tokens'.
///   corpus_domains: as model_setup()'s
[[nodiscard]] StepTraffic step_traffic(const TrainingOptions& options, const layout::Layout& layout,
                                       std::int64_t corpus_domains = 0, int worker = 0);

/// What a resume reads and sends, when the checkpoint was saved by as many workers.
struct ResumeCost {
  std::int64_t checkpoint_bytes = 0;  // of all tensors; the coordinator reads them once, to choose
  std::int64_t verified_bytes = 0;    // that one worker compares with their hashes
  std::int64_t read_bytes = 0;        // that it reads: what it owns
  comm::Traffic weights;              // that it sends
};

/// A function of sizes.
[[nodiscard]] ResumeCost resume_cost(const TrainingOptions& options, const layout::Layout& layout,
                                     int worker = 0);

}  // namespace troupe::workers
