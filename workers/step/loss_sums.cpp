#include "workers/step/loss_sums.h"

#include <algorithm>

#include "base/index.h"
#include "model/parameters.h"

namespace troupe::workers {

struct LossSums::Sums {
  double nll = 0.0;
  double log_z_squared = 0.0;
  double router_z = 0.0;
};

LossSums::LossSums(const model::ModelOptions& options, const layout::BatchShape& batch)
    : z_loss_(options.loss.z_loss),
      router_z_loss_(options.moe.router.z_loss),
      layers_(model::moe_layers(options)),
      losses_(std::ssize(options.moe.aux_loss)),
      microbatches_(static_cast<std::int64_t>(batch.accumulation_steps) * batch.grad_lanes),
      per_microbatch_(2 + layers_ * (losses_ + 1)) {}

StepLosses LossSums::make_losses() const {
  StepLosses losses;
  losses.aux_loss.resize(at(losses_));
  losses.layer_aux_loss.resize(at(layers_ * losses_));
  losses.layer_router_z.resize(at(layers_));
  return losses;
}

void LossSums::record(std::int64_t microbatch, const model::MicrobatchResult& result,
                      StepExchange& exchange) const {
  std::int64_t at = microbatch * per_microbatch_;
  exchange.set_value(at++, result.nll);
  exchange.set_value(at++, result.log_z_squared);
  for (const double value : result.aux_loss) exchange.set_value(at++, value);
  for (const double value : result.router_z_loss) exchange.set_value(at++, value);
}

/// Those of layers, divided by tokens, go to `losses`; aux_loss is not divided yet.
LossSums::Sums LossSums::add_up(const StepExchange& exchange, const LossScale& scale,
                                StepLosses& losses) const {
  const auto routed = static_cast<double>(scale.routed_tokens);
  std::ranges::fill(losses.aux_loss, 0.0);
  std::ranges::fill(losses.layer_aux_loss, 0.0);
  std::ranges::fill(losses.layer_router_z, 0.0);
  Sums sums;
  for (std::int64_t microbatch = 0; microbatch < microbatches_; ++microbatch) {
    std::int64_t at = microbatch * per_microbatch_;
    sums.nll += exchange.value(at++);
    sums.log_z_squared += exchange.value(at++);
    for (std::size_t i = 0; i < losses.layer_aux_loss.size(); ++i) {
      losses.aux_loss[i % losses.aux_loss.size()] += exchange.value(at);
      losses.layer_aux_loss[i] += exchange.value(at++) / routed;
    }
    for (double& layer_z : losses.layer_router_z) {
      sums.router_z += exchange.value(at);
      layer_z += exchange.value(at++) / routed;
    }
  }
  return sums;
}

void LossSums::sum(const StepExchange& exchange, const LossScale& scale, StepLosses& losses) const {
  const Sums sums = add_up(exchange, scale, losses);
  const auto tokens = static_cast<double>(scale.target_tokens);
  const auto routed = static_cast<double>(scale.routed_tokens);
  const auto layers = static_cast<double>(std::max<std::int64_t>(1, layers_));
  losses.loss_lm = sums.nll / tokens;
  losses.loss_z = sums.log_z_squared / tokens;
  losses.loss = losses.loss_lm + z_loss_ * losses.loss_z + router_z_loss_ * (sums.router_z / routed);
  losses.router_z_loss = sums.router_z / routed / layers;
  for (std::size_t i = 0; i < losses.aux_loss.size(); ++i) {
    losses.loss += scale.aux_coefficients[i] * (losses.aux_loss[i] / routed);
    losses.aux_loss[i] /= routed * layers;
  }
}

}  // namespace troupe::workers
