#pragma once
#include <string>

#include "model/options.h"

namespace troupe::configs {

[[nodiscard]] inline bool has_experts(const model::ModelOptions& model) {
  return model.layers - model.moe.first_dense_layers - model.moe.last_dense_layers >= model.moe.every;
}

/// Calls body(mixer, its key) for those that layers can have.
template <class Body>
void for_each_mixer(const model::ModelOptions& model, const Body& body) {
  if (model.mixers.empty()) body(model.attention, std::string("model.attention"));
  for (const auto& mixer : model.mixers) body(mixer.options, "model.mixers." + mixer.name);
}

}  // namespace troupe::configs
