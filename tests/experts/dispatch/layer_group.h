#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layout/options.h"
#include "model/options.h"
#include "tests/reference/fixtures.h"

namespace troupe::experts {

/// How microbatches are computed; must not change a bit, but for dispatch.dtype.
struct LayerLayout {
  int workers = 1;
  int threads = 1;
  layout::DispatchOptions dispatch = {};
};

struct LayerBatch {
  std::vector<float> x, dy;  // [tokens, hidden]
};

/// What the first MoE layer of a model made of some microbatches.
struct LayerGroupRun {
  struct Microbatch {
    std::vector<float> y, dx, dense_gradient;
    std::vector<std::int64_t> counts, dropped;
    bool operator==(const Microbatch&) const = default;
  };
  std::vector<Microbatch> microbatches;
  std::vector<float> expert_gradient;  // of all experts, summed over the microbatches in order
  std::size_t peak_bytes = 0;          // of the worker with the largest use of its arena; not compared
  int chunks = 0;                      // of the exchange, the most
  [[nodiscard]] bool same_bits(const LayerGroupRun& other) const {
    return microbatches == other.microbatches && expert_gradient == other.expert_gradient;
  }
};

/// Forward and backward on `workers` threads that form one group, in waves as the trainer: a worker
/// without a microbatch joins with no tokens.
[[nodiscard]] LayerGroupRun run_layer_group(const model::ModelOptions& options,
                                            const reference::FlatStep& step,
                                            const std::vector<LayerBatch>& batches,
                                            const LayerLayout& layout);

}  // namespace troupe::experts
