#pragma once
#include <cstdint>
#include <span>

#include "tensor/tensor.h"

namespace troupe::experts {

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
  std::span<std::int64_t> counts;           // [choices], pairs of the microbatch, before drops
  std::span<std::int64_t> unbiased_counts;  // the same by plain top-k without bias; 0 unless asked for
};

}  // namespace troupe::experts
