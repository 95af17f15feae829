#include "workers/step/loss_sums.h"

#include <algorithm>

#include "base/index.h"
#include "model/parameters.h"

namespace troupe::workers {

LossSums::LossSums(const model::ModelOptions& options)
    : compares_(options.objective.compares()),
      z_loss_(options.loss.z_loss),
      router_z_loss_(options.moe.router.z_loss),
      mtp_(options.mtp),
      layers_(model::moe_layers(options)),
      losses_(std::ssize(options.moe.aux_loss)) {}

StepLosses LossSums::make_losses() const {
  StepLosses losses;
  losses.aux_loss.resize(at(losses_));
  losses.layer_aux_loss.resize(at(layers_ * losses_));
  losses.layer_router_z.resize(at(layers_));
  return losses;
}

void LossSums::add(const model::MicrobatchResult& result, StepExchange& exchange) const {
  std::int64_t index = 0;
  exchange.add(index++, result.nll);
  exchange.add(index++, result.log_z_squared);
  if (compares_) {
    exchange.add(index++, result.margin);
    exchange.add(index++, static_cast<double>(result.preferred));
  }
  if (mtp_.depth > 0) exchange.add(index++, result.mtp_nll);
  for (const double value : result.aux_loss) exchange.add(index++, value);
  for (const double value : result.router_z_loss) exchange.add(index++, value);
}

void LossSums::sum(const StepExchange& exchange, const LossScale& scale, StepLosses& losses) const {
  // A batch of context only has no loss.
  const auto tokens = static_cast<double>(std::max<std::int64_t>(1, scale.target_tokens));
  const auto routed = static_cast<double>(scale.routed_tokens);
  const auto layers = static_cast<double>(std::max<std::int64_t>(1, layers_));
  std::int64_t index = 0;
  losses.loss_lm = exchange.sum(index++) / tokens;
  losses.loss_z = exchange.sum(index++) / tokens;
  if (compares_) {
    losses.margin = exchange.sum(index++) / tokens;
    losses.accuracy = exchange.sum(index++) / tokens;
  }
  if (mtp_.depth > 0) losses.mtp_loss = exchange.sum(index++) / tokens / static_cast<double>(mtp_.depth);
  for (double& loss : losses.layer_aux_loss) loss = exchange.sum(index++) / routed;
  for (double& loss : losses.layer_router_z) loss = exchange.sum(index++) / routed;

  double router_z = 0.0;
  for (const double of_layer : losses.layer_router_z) router_z += of_layer;
  losses.router_z_loss = router_z / layers;
  losses.loss = losses.loss_lm + z_loss_ * losses.loss_z + router_z_loss_ * router_z;
  losses.loss += mtp_.loss_weight * losses.mtp_loss;
  for (std::size_t i = 0; i < losses.aux_loss.size(); ++i) {
    double sum = 0.0;
    for (std::size_t j = i; j < losses.layer_aux_loss.size(); j += losses.aux_loss.size())
      sum += losses.layer_aux_loss[j];
    losses.loss += scale.aux_coefficients[i] * sum;
    losses.aux_loss[i] = sum / layers;
  }
}

}  // namespace troupe::workers
