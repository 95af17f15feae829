#include "model/layer_spec.h"

#include <fmt/format.h>

#include "base/index.h"

namespace troupe::model {

std::string layer_prefix(std::int64_t layer, std::int64_t layers) {
  const std::size_t width = std::max<std::size_t>(2, fmt::formatted_size("{}", layers - 1));
  return fmt::format("layers/{:0{}}/", layer, width);
}

std::vector<LayerSpec> layer_specs(const ModelOptions& options) {
  const std::vector<AttentionOptions> mixers = layer_mixers(options);
  std::vector<LayerSpec> specs;
  for (std::int64_t layer = 0; layer < options.layers; ++layer) {
    LayerSpec& spec = specs.emplace_back();
    spec.layer = layer;
    spec.prefix = layer_prefix(layer, options.layers);
    spec.mixer = mixers[at(layer)];
    spec.norm = options.norm;
    spec.residual_multiplier = options.residual_multiplier;
    spec.residual_dropout = options.dropout.residual;
    spec.feed_forward = options.ffn;
    if (is_moe_layer(options, layer)) spec.moe_layer = moe_index(options, layer);
  }
  return specs;
}

LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer) {
  return layer_specs(options).at(at(layer));
}

}  // namespace troupe::model
