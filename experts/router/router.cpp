#include "experts/router/router.h"

#include <algorithm>
#include <cmath>

#include "experts/balancer/margins.h"
#include "experts/router/capacity.h"
#include "experts/router/score.h"
#include "experts/router/weights.h"
#include "experts/rows.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::experts {

Router::Router(const MoeOptions& options, std::int64_t layer, const ParameterTable& table,
               const std::string& prefix)
    : options_(options),
      layer_(layer),
      weight_(table, prefix + "router/weight"),
      selector_(make_selector(options)),
      counts_unbiased_(std::ranges::any_of(
          options.aux_loss, [](const auto& loss) { return loss.f_source == FrequencySource::kUnbiased; })),
      no_bias_(static_cast<std::size_t>(options.choices())) {
  for (const AuxLossOptions& loss : options.aux_loss) aux_losses_.push_back(make_aux_loss(options, loss));
}

RoutingResult Router::forward(const Pass& pass, ConstTensorView x, const RouterStep& step,
                              const RouterSums& sums) {
  const std::int64_t tokens = x.rows();
  RoutingResult routing;
  routing.logits = pass.arena.allocate({tokens, options_.choices()});
  routing.scores = pass.arena.allocate({tokens, options_.choices()});
  routing.log_sum_exp = pass.arena.allocate({tokens});
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kYes, x, weight_.value(pass.dense),
            routing.logits);
  score_tokens(pass, routing);
  choose_experts(pass, step, routing);
  if (!sums.load.margins.empty())
    count_margins(pass, {selected_on(routing), routing.logits, step.bias}, options_.top_k, sums.load.margins);
  routing.dispatched = admit(pass, options_, routing.chosen, routing.scores, sums.load.dropped);

  count(pass, routing, sums.load);
  *sums.z_loss = 0.0;
  for (const float value : routing.log_sum_exp.floats()) *sums.z_loss += static_cast<double>(value) * value;
  const AuxInput input{routing, step, sums.load, weight_.value(pass.dense)};
  for (std::size_t a = 0; a < aux_losses_.size(); ++a)
    sums.aux_loss[a] = aux_losses_[a]->forward(pass, input);
  return routing;
}

void Router::score_tokens(const Pass& pass, const RoutingResult& routing) const {
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    const auto z = row(routing.logits, token);
    const float lse = log_sum_exp(z);
    routing.log_sum_exp.f32()[token] = lse;
    score_forward(options_.router.score, z, lse, row(routing.scores, token));
  });
}

void Router::choose_experts(const Pass& pass, const RouterStep& step, RoutingResult& routing) const {
  const std::int64_t tokens = routing.logits.rows();
  const std::int64_t slots = selector_->slots(tokens);
  routing.chosen = pass.arena.allocate({tokens, slots}, DType::kI32);
  routing.weights = pass.arena.allocate({tokens, slots});
  selector_->select(pass, {selected_on(routing), routing.logits, step.bias}, routing.chosen);
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t) {
    weigh(options_.router, row(routing.logits, token), row(routing.scores, token), ids(routing.chosen, token),
          row(routing.weights, token));
  });
}

void Router::count(const Pass& pass, const RoutingResult& routing,
                   const layout::LayerStatistics& load) const {
  std::ranges::fill(load.counts, 0);
  const std::int32_t* chosen = routing.chosen.i32();
  for (std::int64_t i = 0; i < routing.chosen.elements(); ++i) {
    if (chosen[i] >= 0) ++load.counts[static_cast<std::size_t>(chosen[i])];
  }
  std::ranges::fill(load.unbiased, 0);
  if (counts_unbiased_) count_unbiased(pass, routing, load.unbiased);
}

void Router::count_unbiased(const Pass& pass, const RoutingResult& routing,
                            std::span<std::int64_t> counts) const {
  const ArenaScope scope(pass.arena);
  const TensorView chosen = pass.arena.allocate(routing.chosen.shape(), DType::kI32);
  selector_->select(pass, {selected_on(routing), routing.logits, no_bias_}, chosen);
  for (std::int64_t i = 0; i < chosen.elements(); ++i) {
    if (chosen.i32()[i] >= 0) ++counts[static_cast<std::size_t>(chosen.i32()[i])];
  }
}

void Router::backward(const Pass& pass, ConstTensorView x, const RouterStep& step,
                      const RoutingResult& routing, const layout::LayerStatistics& load, TensorView dweights,
                      TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const AuxGradients gradients{dweights, pass.arena.allocate(routing.scores.shape()),
                               pass.arena.allocate(routing.logits.shape()),
                               weight_.gradient(pass.dense_gradient)};
  ops::zero(pass.execution, gradients.dscores.floats());
  ops::zero(pass.execution, gradients.dlogits.floats());
  ops::zero(pass.execution, gradients.dweight.floats());
  const AuxInput input{routing, step, load, weight_.value(pass.dense)};
  for (std::size_t a = 0; a < aux_losses_.size(); ++a) {
    aux_losses_[a]->backward(pass, input, step.aux_coefficients[a] / static_cast<double>(step.routed_tokens),
                             gradients);
  }
  add_token_gradients(pass, step, routing, gradients);
  ops::gemm(pass.execution, ops::Transpose::kYes, ops::Transpose::kNo, gradients.dlogits, x,
            gradients.dweight, ops::Accumulate::kYes);
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kNo, gradients.dlogits,
            weight_.value(pass.dense), dx, ops::Accumulate::kYes);
}

/// Weights → scores → logits, and the z-loss.
void Router::add_token_gradients(const Pass& pass, const RouterStep& step, const RoutingResult& routing,
                                 const AuxGradients& gradients) const {
  const auto z_factor =
      static_cast<float>(2.0 * options_.router.z_loss / static_cast<double>(step.routed_tokens));
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    const auto z = row(routing.logits, token);
    const auto s = row(routing.scores, token);
    const auto ds = row(gradients.dscores, token);
    const auto dz = row(gradients.dlogits, token);
    add_weight_gradient(options_.router, s, ids(routing.chosen, token), row(routing.weights, token),
                        row(gradients.dweights, token), ds, dz);
    add_score_gradient(options_.router.score, s, ds, dz);
    if (options_.router.z_loss == 0.0) return;
    const float lse = routing.log_sum_exp.f32()[token];
    for (std::size_t i = 0; i < z.size(); ++i) dz[i] += z_factor * lse * std::exp(z[i] - lse);
  });
}

}  // namespace troupe::experts
