#include "experts/router/router_logits.h"

#include "tensor/ops/bias/bias.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/ops/softcap/softcap.h"

namespace troupe::experts {

void RouterLogits::declare(layers::Declaration& declaration, const MoeOptions& options,
                           std::int64_t hidden_size) {
  const std::int64_t choices = options.choices();
  declaration.matrix("weight", ParameterRole::kRouter, choices, hidden_size, options.router.init_scale);
  if (options.router.linear_bias)
    declaration.vector("linear_bias", ParameterRole::kRouterBias, choices, 0.0F);
  const bool noise = options.router.selection == Selection::kNoisyTopK;
  if (noise) declaration.matrix("noise_weight", ParameterRole::kRouter, choices, hidden_size, 0.0);
  declaration.keep(declaration.tokens() * choices, noise ? 3 : 1);
  declaration.use_in_backward(declaration.tokens() * choices, noise ? 4 : 2);
  if (options.router.jitter != 0.0) declaration.use_in_backward(declaration.tokens() * hidden_size, 2);
}

RouterLogits::RouterLogits(const MoeOptions& options, std::int64_t layer, const ParameterTable& table,
                           const std::string& prefix)
    : choices_(options.choices()),
      softcap_(options.router.softcap),
      weight_(table, prefix + "router/weight"),
      jitter_(options.router.jitter, layer) {
  if (options.router.linear_bias) bias_.emplace(table, prefix + "router/linear_bias");
  if (options.router.selection == Selection::kNoisyTopK) noise_.emplace(layer, table, prefix);
}

void RouterLogits::forward(const Pass& pass, ConstTensorView x, RoutingResult& routing) const {
  const Shape shape{x.rows(), choices_};
  routing.logits = pass.arena.allocate(shape);
  if (noise_) {
    routing.clean_logits = pass.arena.allocate(shape);
    routing.noise_std = pass.arena.allocate(shape);
  }
  const ArenaScope scope(pass.arena);
  ConstTensorView input = x;
  if (jitter_.active(pass)) {
    const TensorView jittered = pass.arena.allocate(x.shape());
    jitter_.scale(pass, x, jittered);
    input = jittered;
  }
  const TensorView z = noise_ ? routing.clean_logits : routing.logits;
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kYes, input, weight(pass), z);
  if (bias_) ops::add_bias(pass.execution, bias_->value(pass.dense), z);
  if (softcap_ > 0.0) ops::softcap(pass.execution, 1.0, softcap_, z);
  if (noise_) noise_->forward(pass, input, routing);
}

AuxGradients RouterLogits::make_gradients(const Pass& pass, const RoutingResult& routing,
                                          TensorView dweights) const {
  const auto zeros = [&](const Shape& shape) {
    const TensorView view = pass.arena.allocate(shape);
    ops::zero(pass.execution, view);
    return view;
  };
  const Shape& shape = routing.logits.shape();
  AuxGradients gradients{dweights, zeros(shape), zeros(shape), weight_.gradient(pass.dense_gradient)};
  ops::zero(pass.execution, gradients.dweight);
  if (noise_) {
    gradients.dclean_logits = zeros(shape);
    gradients.dnoise_std = zeros(shape);
  }
  return gradients;
}

void RouterLogits::backward(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                            const AuxGradients& gradients, TensorView dx) const {
  if (!jitter_.active(pass)) return backward_products(pass, x, routing, gradients, dx);
  const TensorView jittered = pass.arena.allocate(x.shape());
  const TensorView djittered = pass.arena.allocate(x.shape());
  jitter_.scale(pass, x, jittered);
  ops::zero(pass.execution, djittered);
  backward_products(pass, jittered, routing, gradients, djittered);
  jitter_.add_scaled(pass, djittered, dx);
}

/// x, dx: as the matrices saw them
void RouterLogits::backward_products(const Pass& pass, ConstTensorView x, const RoutingResult& routing,
                                     const AuxGradients& gradients, TensorView dx) const {
  if (noise_) noise_->backward(pass, x, routing, gradients, dx);
  if (softcap_ > 0.0)
    ops::softcap_backward(pass.execution, gradients.dlogits, routing.logits, 1.0, softcap_,
                          gradients.dlogits);
  if (bias_) ops::bias_gradient(pass.execution, gradients.dlogits, bias_->gradient(pass.dense_gradient));
  ops::gemm(pass.execution, ops::Transpose::kYes, ops::Transpose::kNo, gradients.dlogits, x,
            gradients.dweight, ops::Accumulate::kYes);
  ops::gemm(pass.execution, ops::Transpose::kNo, ops::Transpose::kNo, gradients.dlogits, weight(pass), dx,
            ops::Accumulate::kYes);
}

}  // namespace troupe::experts
