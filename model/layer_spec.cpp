#include "model/layer_spec.h"

#include <fmt/format.h>

#include <cmath>

#include "base/index.h"

namespace troupe::model {

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

std::vector<LayerSpec> layer_specs(const ModelOptions& options) {
  const std::vector<AttentionOptions> mixers = layer_mixers(options);
  std::vector<LayerSpec> specs;
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    LayerSpec& spec = specs.emplace_back();
    spec.layer = layer;
    spec.prefix = layer_prefix(layer, options.layers);
    spec.mixer = mixers[at(layer)];
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
  }
  return specs;
}

LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer) {
  return layer_specs(options).at(at(layer));
}

}  // namespace troupe::model
