#pragma once
#include <cstdint>

#include "model/options.h"

namespace troupe::model {

struct ParameterCounts {
  std::int64_t total = 0;
  std::int64_t mtp = 0;  // of these, of the modules for multi-token prediction, which only training computes
  /// That one token is multiplied with: those of experts::routed_experts_per_token; without the embedding
  /// look-up, a tied head counted once.
  std::int64_t active = 0;
};

[[nodiscard]] ParameterCounts count_parameters(const ModelOptions& options, std::int64_t vocab_size);

/// Numbers that attention keeps of every token that is seen later: keys and values, or a rotated key and a
/// latent.
[[nodiscard]] std::int64_t cached_numbers(const AttentionOptions& mixer);

/// What is kept to write another token after `context` of them: of all layers, a mixer with a window or
/// chunks no more tokens than these.
[[nodiscard]] std::int64_t cached_numbers(const ModelOptions& options, std::int64_t context);

/// Floating-point operations of training, forward and twice as many backward, as the layers declare them: 6
/// per active parameter and token, and attention's 12 * heads * head_dim per layer and visible (query, key)
/// pair; a mixer with a window or chunks has at most as many pairs as these leave.
[[nodiscard]] double training_flops(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                                    std::int64_t visible_pairs);

/// The same for one token of sequences that are one document each: (sequence_length + 1) / 2 pairs.
[[nodiscard]] double training_flops_per_token(const ModelOptions& options, std::int64_t vocab_size,
                                              std::int64_t sequence_length);

}  // namespace troupe::model
