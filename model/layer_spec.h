#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/options.h"

namespace troupe::model {

/// What one layer of a model is: all that a Block goes by, so that layers can differ.
struct LayerSpec {
  std::int64_t layer = 0;  // of the model
  std::string prefix;      // of its parameters' names
  AttentionOptions mixer;
  NormOptions norm;                  // of the mixer and of the feed-forward
  double residual_multiplier = 1.0;  // on what both add to the residual stream
  double residual_dropout = 0.0;     // of that
  double attention_dropout = 0.0;
  double inner_norm_eps = 1e-6;  // of the norms inside the mixer
  FfnOptions feed_forward;       // where there are no experts, and the form of theirs; its width is given
  double ffn_dropout = 0.0;
  std::optional<std::int64_t> moe_layer;  // with experts: its index among the layers that have them
};

[[nodiscard]] LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer);
[[nodiscard]] std::vector<LayerSpec> layer_specs(const ModelOptions& options);

/// "layers/03/" for layer 3; wider with 100 layers and more, so that names sort by layer.
[[nodiscard]] std::string layer_prefix(std::int64_t layer, std::int64_t layers);

/// After first_dense_layers, every `every`-th layer has experts: the last one of each such run.
[[nodiscard]] inline bool is_moe_layer(const ModelOptions& options, std::int64_t layer) {
  const std::int64_t after = layer - options.moe.first_dense_layers;
  const bool between = after >= 0 && layer < options.layers - options.moe.last_dense_layers;
  return between && (after + 1) % options.moe.every == 0;
}
[[nodiscard]] inline std::int64_t moe_layers(const ModelOptions& options) {
  const std::int64_t dense = options.moe.first_dense_layers + options.moe.last_dense_layers;
  return std::max<std::int64_t>(0, options.layers - dense) / options.moe.every;
}
/// The layer with experts number `index`, and back.
[[nodiscard]] inline std::int64_t layer_of_moe(const ModelOptions& options, std::int64_t index) {
  return options.moe.first_dense_layers + (index + 1) * options.moe.every - 1;
}
[[nodiscard]] inline std::int64_t moe_index(const ModelOptions& options, std::int64_t layer) {
  return (layer - options.moe.first_dense_layers) / options.moe.every;
}

}  // namespace troupe::model
