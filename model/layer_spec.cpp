#include "model/layer_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/index.h"
#include "model/widths.h"

namespace troupe::model {
namespace {

ShortcutPlace shortcut_place(const ModelOptions& options, std::int64_t layer) {
  const std::int64_t after = layer - options.moe.first_dense_layers;
  const bool between = after >= 0 && layer < options.layers - options.moe.last_dense_layers;
  if (!options.moe.shortcut || !between) return ShortcutPlace::kNone;
  const std::int64_t place = after % options.moe.every;
  if (place == 0) return ShortcutPlace::kBegins;
  return place + 1 == options.moe.every ? ShortcutPlace::kEnds : ShortcutPlace::kPasses;
}

/// The layer with experts in a run of `every`.
std::int64_t place_of_experts(const ModelOptions& options) {
  return options.moe.shortcut ? 0 : options.moe.every - 1;
}

/// Without the modules for multi-token prediction.
std::int64_t moe_layers_alone(const ModelOptions& options) {
  const std::int64_t dense = options.moe.first_dense_layers + options.moe.last_dense_layers;
  return std::max<std::int64_t>(0, options.layers - dense) / options.moe.every;
}

}  // namespace

std::string layer_prefix(std::int64_t layer, std::int64_t layers) {
  const std::size_t width = std::max<std::size_t>(2, fmt::formatted_size("{}", layers - 1));
  return fmt::format("layers/{:0{}}/", layer, width);
}

namespace {

/// norm(α x + f(x)) is norm(x + f(x) / α) with eps / α².
void place_deep_norms(std::int64_t layers, LayerSpec& spec) {
  const double alpha = std::pow(2.0 * static_cast<double>(layers), 0.25);
  spec.norm.placement = NormPlacement::kPost;
  spec.norm.eps /= alpha * alpha;
  spec.residual_multiplier /= alpha;
}

/// Scores by 1 / head_dim where heads grow: as the base has them, so that there nothing changes.
void scale_scores(std::int64_t base_head_dim, AttentionOptions& mixer) {
  if (base_head_dim == 0 || mixer.softmax_scale > 0.0) return;
  const std::int64_t head_dim =
      mixer.kind == AttentionKind::kMla ? mixer.latent.rope_dim + mixer.latent.nope_dim : mixer.head_dim;
  mixer.softmax_scale = std::sqrt(static_cast<double>(base_head_dim)) / static_cast<double>(head_dim);
}

}  // namespace
std::string layer_prefix(const ModelOptions& options, std::int64_t layer) {
  return layer < options.layers ? layer_prefix(layer, options.layers)
                                : fmt::format("mtp/{:02}/", layer - options.layers);
}

bool is_moe_layer(const ModelOptions& options, std::int64_t layer) {
  if (layer >= options.layers + options.mtp.depth) return false;
  const std::int64_t like = std::min(layer, options.layers - 1);
  const std::int64_t after = like - options.moe.first_dense_layers;
  const bool between = after >= 0 && like < options.layers - options.moe.last_dense_layers;
  return between && after % options.moe.every == place_of_experts(options);
}

std::int64_t moe_layers(const ModelOptions& options) {
  const bool modules = options.mtp.depth > 0 && is_moe_layer(options, options.layers);
  return moe_layers_alone(options) + (modules ? options.mtp.depth : 0);
}

std::int64_t layer_of_moe(const ModelOptions& options, std::int64_t index) {
  const std::int64_t alone = moe_layers_alone(options);
  if (index >= alone) return options.layers + index - alone;
  return options.moe.first_dense_layers + index * options.moe.every + place_of_experts(options);
}

std::int64_t moe_index(const ModelOptions& options, std::int64_t layer) {
  if (layer >= options.layers) return moe_layers_alone(options) + layer - options.layers;
  return (layer - options.moe.first_dense_layers) / options.moe.every;
}

std::vector<LayerSpec> layer_specs(const ModelOptions& options) {
  const std::vector<AttentionOptions> mixers = layer_mixers(options);
  std::vector<LayerSpec> specs;
  for (std::int64_t layer = 0; layer < options.layers + options.mtp.depth; ++layer) {
    LayerSpec& spec = specs.emplace_back();
    spec.layer = layer;
    spec.prefix = layer_prefix(options, layer);
    spec.mixer = mixers[at(std::min(layer, options.layers - 1))];
    if (options.mup.on()) scale_scores(options.mup.base_head_dim, spec.mixer);
    spec.norm = options.norm;
    spec.residual_multiplier = options.residual_multiplier;
    spec.residual_dropout = options.dropout.residual;
    spec.attention_dropout = options.dropout.attention;
    spec.inner_norm_eps = options.norm.eps;
    spec.feed_forward = {options.ffn.form, ffn_width(options)};
    spec.ffn_dropout = options.dropout.ffn;
    if (options.norm.placement == NormPlacement::kDeepNorm) place_deep_norms(options.layers, spec);
    if (is_moe_layer(options, layer)) spec.moe_layer = moe_index(options, layer);
    spec.shortcut = shortcut_place(options, layer);
  }
  return specs;
}

LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer) {
  return layer_specs(options).at(at(layer));
}

}  // namespace troupe::model
