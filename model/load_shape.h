#pragma once
#include "experts/balancer/balancer.h"
#include "layout/load_statistics.h"
#include "model/layer_spec.h"

namespace troupe::model {

/// Tables of the load that a model's layers with experts count. domains: of the corpus; 0: not by domain.
[[nodiscard]] inline layout::LoadShape load_shape(const ModelOptions& options, int domains) {
  const experts::MoeOptions& moe = options.moe;
  return {.layers = static_cast<int>(moe_layers(options)),
          .choices = static_cast<int>(moe.choices()),
          .experts = static_cast<int>(moe.experts),
          .capacity = moe.capacity.kind != experts::CapacityKind::kDropless,
          .margin_bins = experts::margin_bins(moe.balancer),
          .domains = domains,
          .co_activation = moe.co_activation};
}

}  // namespace troupe::model
