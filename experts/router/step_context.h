#pragma once
#include <cstdint>
#include <span>

#include "experts/router/routing_tape.h"

namespace troupe::experts {

/// (token, slot) pairs of every choice, of all workers, that balance losses take f from. [moe layers,
/// choices]; of one layer: [choices]. Empty where no loss asks for them; all zero: uniform.
struct PairCounts {
  std::span<const std::int64_t> previous = {};  // of the previous global batch; zero before the first
  std::span<const std::int64_t> running = {};   // of this batch's accumulation steps up to this microbatch's
  std::span<const std::int64_t> global = {};    // of this batch

  [[nodiscard]] PairCounts layer(std::int64_t index, std::int64_t layers) const;
};

/// What a microbatch's passes need to know of its step: equal for all microbatches and workers, but for the
/// running counts and the tape.
struct StepContext {
  std::int64_t target_tokens =
      0;  // M: unmasked targets of the global batch, or its pairs; the loss is divided by it
  std::int64_t routed_tokens = 0;    // of the global batch; auxiliary and router z-losses are divided by it
  std::span<const float> bias = {};  // [moe layers, choices], balance bias
  std::span<const double> aux_coefficients = {};  // [aux losses], this step's values
  std::uint64_t seed = 0;                         // of the run
  PairCounts counts = {};                         // by the routing that is used; read by backward
  PairCounts unbiased_counts = {};                // the same by plain top-k without bias
  RoutingTape tape = {};                          // choices of the microbatch to keep or to follow

  /// The part of one of the model's layers with experts: [choices] of everything, the layer's tape.
  [[nodiscard]] StepContext layer(std::int64_t index, std::int64_t layers) const;
};

}  // namespace troupe::experts
