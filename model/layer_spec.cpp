#include "model/layer_spec.h"

#include <fmt/format.h>

namespace troupe::model {

std::string layer_prefix(std::int64_t layer, std::int64_t layers) {
  const std::size_t width = std::max<std::size_t>(2, fmt::formatted_size("{}", layers - 1));
  return fmt::format("layers/{:0{}}/", layer, width);
}

LayerSpec layer_spec(const ModelOptions& options, std::int64_t layer) {
  LayerSpec spec;
  spec.layer = layer;
  spec.prefix = layer_prefix(layer, options.layers);
  spec.mixer = options.attention;
  spec.positions = options.attention.rope;
  spec.norm = options.norm;
  spec.feed_forward = options.ffn;
  if (is_moe_layer(options, layer)) spec.moe_layer = moe_index(options, layer);
  return spec;
}

std::vector<LayerSpec> layer_specs(const ModelOptions& options) {
  std::vector<LayerSpec> specs;
  for (std::int64_t layer = 0; layer < options.layers; ++layer) specs.push_back(layer_spec(options, layer));
  return specs;
}

}  // namespace troupe::model
