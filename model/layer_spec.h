#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/options.h"

namespace troupe::model {

/// Where a layer is between experts and the place where their output is added (`moe.shortcut`).
enum class ShortcutPlace : std::uint8_t { kNone, kBegins, kPasses, kEnds };

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
  ShortcutPlace shortcut = ShortcutPlace::kNone;
};

/// Of the model's layers, and behind them of its modules for multi-token prediction, whose blocks are as its
/// last layer: module d has the number layers + d.
[[nodiscard]] LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer);
[[nodiscard]] std::vector<LayerSpec> layer_specs(const ModelOptions& options);

/// "layers/03/" for layer 3; wider with 100 layers and more, so that names sort by layer.
[[nodiscard]] std::string layer_prefix(std::int64_t layer, std::int64_t layers);
/// The same; of a module for multi-token prediction "mtp/00/".
[[nodiscard]] std::string layer_prefix(const ModelOptions& options, std::int64_t layer);

/// After first_dense_layers, every `every`-th layer has experts: the last one of each such run, with a
/// shortcut the first. A module for multi-token prediction has some where the last layer has.
[[nodiscard]] bool is_moe_layer(const ModelOptions& options, std::int64_t layer);
/// Layers with experts, and modules with some.
[[nodiscard]] std::int64_t moe_layers(const ModelOptions& options);
/// The layer, or module, with experts number `index`, and back.
[[nodiscard]] std::int64_t layer_of_moe(const ModelOptions& options, std::int64_t index);
[[nodiscard]] std::int64_t moe_index(const ModelOptions& options, std::int64_t layer);

}  // namespace troupe::model
