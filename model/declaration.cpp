#include "model/declaration.h"

#include <cmath>

#include "layers/embedding.h"
#include "layers/norm_layer.h"
#include "model/block.h"
#include "model/head.h"
#include "model/layer_spec.h"
#include "model/mtp_module.h"
#include "model/reward_head.h"
#include "model/widths.h"

namespace troupe::model {
namespace {

layers::Declaration outside_layers(const ModelOptions& options, ParameterPart part,
                                   const MicrobatchSize& size) {
  return layers::Declaration({.part = part, .tokens = size.tokens, .start = {.std = options.init.std}});
}

layers::Declaration declare_embedding(const ModelOptions& options, std::int64_t vocab_size,
                                      const MicrobatchSize& size) {
  layers::Declaration embedding =
      outside_layers(options, ParameterPart::kEmbedding, size).part("embedding/", ParameterPart::kEmbedding);
  layers::Embedding::declare(embedding, vocab_size, options.hidden_size, options.embedding.positions);
  return embedding;
}

layers::Declaration declare_head(const ModelOptions& options, std::int64_t vocab_size,
                                 const MicrobatchSize& size) {
  layers::Declaration head = outside_layers(options, ParameterPart::kHead, size);
  layers::Declaration norm = head.part("final_norm/", ParameterPart::kHead);
  layers::NormLayer::declare(norm, options.norm, options.hidden_size);
  head.add(std::move(norm));
  head.keep(size.tokens * options.hidden_size);  // gradient of the norm's output
  if (options.objective.is_reward()) {
    layers::Declaration reward = head.part("reward_head/", ParameterPart::kHead);
    RewardHead::declare(reward, options.hidden_size);
    head.add(std::move(reward));
    return head;
  }
  layers::Declaration logits = head.part("head/", ParameterPart::kHead);
  Head::declare(logits, options.logits, vocab_size, options.hidden_size, options.tie_embeddings);
  head.add(std::move(logits));
  return head;
}

/// Every layer writes twice to the residual stream. With DeepNorm its β = (8 layers)^(-1/4), of decoders, is
/// in place of that factor.
layers::Declaration::Start start_of_layers(const ModelOptions& options) {
  const auto layers = static_cast<double>(options.layers);
  layers::Declaration::Start start{.std = options.init.std,
                                   .xavier = options.init.kind == InitKind::kXavier,
                                   .width = mup_multiple(options)};
  if (options.norm.placement == NormPlacement::kDeepNorm) {
    start.deep_factor = std::pow(8.0 * layers, -0.25);
  } else if (options.init.residual_scaling) {
    start.residual_factor = 1.0 / std::sqrt(2.0 * layers);
  }
  return start;
}

}  // namespace

ModelDeclaration declare(const ModelOptions& options, std::int64_t vocab_size, const MicrobatchSize& size) {
  ModelDeclaration model{
      declare_embedding(options, vocab_size, size), {}, declare_head(options, vocab_size, size)};
  for (const LayerSpec& layer : layer_specs(options)) {
    layers::Declaration& block =
        model.blocks.emplace_back(layers::Declaration::Place{.prefix = layer.prefix,
                                                             .layer = layer.layer,
                                                             .part = ParameterPart::kMixer,
                                                             .tokens = size.tokens,
                                                             .start = start_of_layers(options)});
    if (layer.layer < options.layers) {
      Block::declare(block, layer, options.moe, options.hidden_size, size.rows);
    } else {
      MtpModule::declare(block, layer, options.moe, options.hidden_size, size.rows, vocab_size);
    }
  }
  return model;
}

}  // namespace troupe::model
