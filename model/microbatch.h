#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"
#include "experts/router/router.h"
#include "experts/router/step_context.h"
#include "layers/microbatch.h"
#include "layout/load_statistics.h"

namespace troupe::model {

using experts::StepContext;

/// Flat buffers with the offsets of the two ParameterTables.
struct Weights {
  ConstTensorView dense;
  ConstTensorView experts;  // this worker's
};
struct Gradients {
  /// Overwritten with this microbatch's complete gradient; padding between parameters is not touched.
  TensorView dense;
  /// One buffer per expert lane of this worker's group; segments are added (the caller zeroes them
  /// before a step's first wave).
  std::span<const TensorView> expert_lanes;
  /// [group size]: source rank p's segments are added to expert_lanes[lane_of_source[p]]; ignored where the
  /// rank has no tokens.
  std::span<const int> lane_of_source;
};

/// What one microbatch yields. Sums are fp64 and not divided by anything; the caller adds them in
/// (t, s) order. Made by Transformer::make_result(); forward() overwrites the load, backward() the rest,
/// evaluate() the load and the head's sums.
struct MicrobatchResult {
  double nll = 0.0;                   // Σ -log p(target), nats; of pairs Σ -log σ(margin)
  double log_z_squared = 0.0;         // Σ log²Z over unmasked targets, without the coefficient
  std::int64_t target_tokens = 0;     // unmasked, or pairs
  double mtp_nll = 0.0;               // Σ -log p(target) of all modules for multi-token prediction
  double margin = 0.0;                // Σ over pairs
  std::int64_t preferred = 0;         // pairs with a margin above 0
  std::vector<double> aux_loss;       // [moe layers, aux losses]: sums over tokens, without coefficient
  std::vector<double> router_z_loss;  // [moe layers]: Σ over tokens of logsumexp(z)², without coefficient
  layout::LoadStatistics load;        // of the MoE layers

  [[nodiscard]] std::int64_t layers() const { return std::ssize(router_z_loss); }  // with experts
  /// The part of one of them.
  [[nodiscard]] experts::RouterSums layer(std::int64_t index) {
    return {.load = load.layer(static_cast<int>(index)),
            .aux_loss = experts::layer_part(std::span(aux_loss), index, layers()),
            .z_loss = &router_z_loss[at(index)]};
  }
};

}  // namespace troupe::model
