#include "model/cost.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/index.h"
#include "model/declaration.h"
#include "model/key_spans.h"
#include "model/layer_spec.h"

namespace troupe::model {

namespace {

/// Of the visible pairs those that a mixer's span leaves, at most.
double pairs_of_span(const LayerSpec& layer, std::int64_t tokens, std::int64_t visible_pairs) {
  const double keys = KeySpan(layer.mixer).most_keys();
  auto pairs = static_cast<double>(visible_pairs);
  if (layer.mixer.stride > 0) {
    const double in_window = static_cast<double>(layer.mixer.window) * static_cast<double>(tokens);
    pairs = std::min(pairs, in_window + pairs / static_cast<double>(layer.mixer.stride));
  }
  return keys == 0.0 ? pairs : std::min(pairs, keys * static_cast<double>(tokens));
}

}  // namespace

ParameterCounts count_parameters(const ModelOptions& options, std::int64_t vocab_size) {
  ParameterCounts counts;
  double active = 0.0;
  const ModelDeclaration model = declare(options, vocab_size);
  model.for_each([&](const layers::Declaration& layer) {
    for (const ParameterSpec& spec : layer.parameters()) counts.total += spec.elements();
    active += layer.multiplied();
  });
  for (std::size_t i = at(options.layers); i < model.blocks.size(); ++i) {
    for (const ParameterSpec& spec : model.blocks[i].parameters()) counts.mtp += spec.elements();
    active -= model.blocks[i].multiplied();
  }
  counts.active = std::llround(active);
  return counts;
}

std::int64_t cached_numbers(const AttentionOptions& mixer) {
  if (mixer.kind == AttentionKind::kMla) return mixer.latent.kv_rank + mixer.latent.rope_dim;
  return 2 * mixer.kv_heads * mixer.head_dim;
}

std::int64_t cached_numbers(const ModelOptions& options, std::int64_t context) {
  std::int64_t numbers = 0;
  for (const AttentionOptions& mixer : layer_mixers(options))
    numbers += KeySpan(mixer).positions(context) * cached_numbers(mixer);
  return numbers;
}

double training_flops(const ModelOptions& options, std::int64_t vocab_size, std::int64_t tokens,
                      std::int64_t visible_pairs) {
  const ModelDeclaration model = declare(options, vocab_size);
  double forward = 0.0;
  model.for_each([&](const layers::Declaration& layer) {
    forward += 2.0 * layer.multiplied() * static_cast<double>(tokens);
  });
  const std::vector<LayerSpec> layers = layer_specs(options);
  for (std::size_t i = 0; i < layers.size(); ++i)
    forward += model.blocks[i].pair_flops() * pairs_of_span(layers[i], tokens, visible_pairs);
  return 3.0 * forward;  // backward: for the input, and for the parameters
}

double training_flops_per_token(const ModelOptions& options, std::int64_t vocab_size,
                                std::int64_t sequence_length) {
  const double pairs = static_cast<double>(sequence_length) * static_cast<double>(sequence_length + 1) / 2.0;
  const auto length = static_cast<double>(sequence_length);
  return training_flops(options, vocab_size, sequence_length, static_cast<std::int64_t>(pairs)) / length;
}

}  // namespace troupe::model
