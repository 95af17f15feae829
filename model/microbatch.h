#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "experts/router/routing_tape.h"
#include "layers/pass.h"
#include "layout/load_statistics.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Sequences that are computed together. tokens = sequences * sequence_length, or 0: a worker without
/// a lane in the last wave joins the collectives with nothing. All views: [tokens] i32.
struct MicrobatchInput {
  ConstTensorView tokens;          // ids
  ConstTensorView targets;         // next token's id; -1: masked, no loss
  ConstTensorView positions;       // position in the document, for RoPE
  ConstTensorView first_visible;   // first position of the same sequence that a token sees
  ConstTensorView domains = {};    // of each target's document; may be empty
  experts::RoutingTape tape = {};  // choices to keep or to follow
  std::int64_t first_token = 0;    // number in the run of the first token; the others follow
};

/// What is equal for all microbatches of a step, on all workers. Rows of the MoE layers, in order.
struct StepContext {
  std::int64_t target_tokens = 0;  // M: unmasked targets of the global batch; the loss is divided by it
  std::int64_t routed_tokens =
      0;                        // tokens of the global batch; auxiliary and router z-losses are divided by it
  std::span<const float> bias;  // [moe layers, choices], balance bias
  /// [moe layers, choices], counts of the previous global batch; all zero: uniform (first step).
  /// Read by auxiliary losses of scope `global`, with f_source actual and unbiased; may be empty
  /// where no such loss is configured.
  std::span<const std::int64_t> previous_counts;
  std::span<const std::int64_t> previous_unbiased_counts;
  std::span<const double> aux_coefficients;  // [aux losses], this step's values
  std::uint64_t seed = 0;                    // of the run
  /// [moe layers, choices], counts of all microbatches of the step's completed turns, on all workers; the
  /// views stay, their contents grow. Read by losses of scope `global_running`; empty: none.
  std::span<const std::int64_t> running_counts = {};
  std::span<const std::int64_t> running_unbiased_counts = {};
};

/// Where the expert gradients of one wave go: source rank p's segments are added to
/// Gradients::expert_lanes[lane_of_source[p]]. [group size]; ignored where the rank has no tokens.
struct WaveContext {
  std::span<const int> lane_of_source;
};

/// Flat buffers with the offsets of the two ParameterTables.
struct Weights {
  std::span<const float> dense;
  std::span<const float> experts;  // this worker's
};
struct Gradients {
  /// Overwritten with this microbatch's complete gradient; padding between parameters is not touched.
  std::span<float> dense;
  /// One buffer per expert lane of this worker's group; segments are added (the caller zeroes them
  /// before a step's first wave).
  std::span<const std::span<float>> expert_lanes;
};

/// What one microbatch yields. Sums are fp64 and not divided by anything; the caller adds them in
/// (t, s) order. Made by Transformer::make_result(), overwritten by every call.
struct MicrobatchResult {
  double nll = 0.0;                   // Σ -log p(target), nats
  double log_z_squared = 0.0;         // Σ log²Z over unmasked targets, without the coefficient
  std::int64_t target_tokens = 0;     // unmasked
  std::vector<double> aux_loss;       // [moe layers, aux losses]: sums over tokens, without coefficient
  std::vector<double> router_z_loss;  // [moe layers]: Σ over tokens of logsumexp(z)², without coefficient
  layout::LoadStatistics load;        // of the MoE layers
};

}  // namespace troupe::model
