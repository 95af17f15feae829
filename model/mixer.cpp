#include "model/mixer.h"

#include "model/attention_layer.h"
#include "model/latent_attention_layer.h"

namespace troupe::model {

ops::AttentionDropout attention_dropout(const Pass& pass, double rate, std::int64_t layer) {
  if (!pass.training) return {};
  return {.rate = rate,
          .seed = pass.seed,
          .layer = static_cast<std::uint32_t>(layer),
          .first_token = pass.microbatch.first_token};
}

std::unique_ptr<Mixer> make_mixer(const LayerSpec& layer, const MixerContext& context) {
  if (layer.mixer.kind == AttentionKind::kMla) return std::make_unique<LatentAttentionLayer>(layer, context);
  return std::make_unique<AttentionLayer>(layer, context);
}

void declare_mixer(layers::Declaration& declaration, const LayerSpec& layer, std::int64_t hidden_size) {
  if (layer.mixer.kind == AttentionKind::kMla)
    return LatentAttentionLayer::declare(declaration, layer, hidden_size);
  AttentionLayer::declare(declaration, layer, hidden_size);
}

}  // namespace troupe::model
