#pragma once
#include "conversion/aspects.h"

namespace troupe::conversion {

/// What a family's rotary positions are where its config.json does not say.
struct RopeDefaults {
  double theta = 10000.0;
  double fraction = 1.0;
  bool interleaved = false;
  bool latent = false;  // DeepSeek's yarn, which scales scores, too (arXiv 2405.04434)
};

/// rope_theta, rope_scaling, partial_rotary_factor, or all of them in rope_parameters; of every layer.
[[nodiscard]] Aspect rope(const RopeDefaults& defaults = {});
/// rotary_dim: channels of a head that are rotated; comes after what says head_dim.
[[nodiscard]] Aspect rotary_dim();

// What queries of each layer see. Layers of one kind have it in `attention`, else there are mixers.

/// sliding_window: of all layers; null or absent: everything.
[[nodiscard]] Aspect window();
/// layer_types, or what use_sliding_window and max_window_layers say: full or sliding_window.
[[nodiscard]] Aspect layer_types();
/// layer_types: a window in all but each `every`-th layer, where the key is absent.
[[nodiscard]] Aspect alternating(std::int64_t every);
/// The same, every fourth; those without a window have no positions (Command A).
[[nodiscard]] Aspect windows_and_nope();
/// The same, every sixth; those without a window have another theta, and may be scaled (Gemma 3).
[[nodiscard]] Aspect windows_and_far_rope();
/// no_rope_layers: 0 where a layer has no positions; or no_rope_layer_interval (SmolLM3).
[[nodiscard]] Aspect no_rope_layers();

/// no_rope_layers, attention_chunk_size, use_qk_norm, attn_temperature_tuning: chunks with normed queries and
/// keys, and layers without positions and with a temperature (Llama 4).
[[nodiscard]] Aspect chunks_and_nope();

}  // namespace troupe::conversion
