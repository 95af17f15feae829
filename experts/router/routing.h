#pragma once
#include <cstdint>
#include <span>

#include "experts/router/routing_tape.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// What a layer's router needs to know of the step; equal on all workers.
struct RouterStep {
  std::span<const float> bias;                             // [choices], balance bias
  std::span<const std::int64_t> previous_counts;           // [choices]; empty or all zero: uniform
  std::span<const std::int64_t> previous_unbiased_counts;  // the same by plain top-k without bias
  std::span<const double> aux_coefficients;                // [aux losses]
  std::int64_t routed_tokens = 0;                          // of the global batch; 0: forward only
  // Of the step's completed turns, for losses of scope global_running; empty: none.
  std::span<const std::int64_t> running_counts = {};           // [choices]
  std::span<const std::int64_t> running_unbiased_counts = {};  // [choices]
  RoutingTape tape = {};  // of this microbatch and layer; read by forward
};

/// Where the tokens of a microbatch go, and what backward needs. Views into the arena. Choices 0 … N-1
/// are routed experts, N … N+n-1 zero-compute ones; -1 is an empty slot.
struct RoutingResult {
  TensorView logits;       // [tokens, choices], z; H = z + noise with noisy_top_k
  TensorView scores;       // [tokens, choices], s
  TensorView log_sum_exp;  // [tokens], of the logits
  /// Only with noisy_top_k (empty otherwise); H = clean_logits + ε · noise_std while training, else H = z.
  TensorView clean_logits;  // [tokens, choices], z
  TensorView noise_std;     // [tokens, choices], softplus(W_noise x)
  TensorView candidates;    // [tokens, slots] i32, what weights are normalised over
  TensorView chosen;        // [tokens, slots] i32, candidates or -1, best first: what is counted
  TensorView dispatched;    // [tokens, slots] i32: `chosen` without dropped pairs and zero-compute experts
  TensorView weights;       // [tokens, slots]
};

}  // namespace troupe::experts
