#pragma once
#include <cstdint>

#include "conversion/tensor_names.h"

namespace troupe::conversion {

// Names of llama.cpp's gguf-py (constants.py), experts stacked.

/// How a file's rotated channels lie: as they are here, or the two that turn together beside each other.
enum class GgufRotation : std::uint8_t { kAsHere, kPairs };

/// Those that Llama and most have.
[[nodiscard]] TensorNames gguf_names(GgufRotation rotation);

// Names with more, or others.

/// Of the attention's output, and of dense feed-forwards.
[[nodiscard]] TensorNames with_gguf_biases(TensorNames names);
/// Shared experts, and a bias that experts are chosen with.
[[nodiscard]] TensorNames with_gguf_router_bias(TensorNames names, bool shared_experts);
/// The norm before the feed-forward is one after attention (GLM-4.5, gpt-oss).
[[nodiscard]] TensorNames with_gguf_post_attention_norm(TensorNames names);
/// Norms of what attention and feed-forward give (OLMo 2, Gemma).
[[nodiscard]] TensorNames with_gguf_post_norms(TensorNames names);
/// Norms whose factor is 1 + weight: a file has the factor.
[[nodiscard]] TensorNames with_gguf_whole_norms(TensorNames names);
/// Sinks, and biases everywhere (gpt-oss).
[[nodiscard]] TensorNames with_gguf_sinks(TensorNames names);
/// Latents in the place of queries, keys and values (DeepSeek-V2).
[[nodiscard]] TensorNames with_gguf_latents(TensorNames names);
/// Queries, keys and values in one, gate and up in one (Phi-3).
[[nodiscard]] TensorNames with_gguf_joined_projections(TensorNames names);
/// Learned positions, biases everywhere, no gate (GPT-2).
[[nodiscard]] TensorNames gpt2_gguf_names();

}  // namespace troupe::conversion
