#include "layers/norm_layer.h"

#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/layer_norm/layer_norm.h"
#include "tensor/ops/rms_norm/rms_norm.h"

namespace troupe::layers {

void NormLayer::declare(Declaration& declaration, const NormForm& form, std::int64_t hidden) {
  declare_as(declaration, "weight", form, hidden, declaration.tokens() * hidden);
  if (form.bias) declaration.vector("bias", ParameterRole::kInputBias, hidden, 0.0F);
}

void NormLayer::declare_as(Declaration& declaration, const std::string& name, const NormForm& form,
                           std::int64_t columns, std::int64_t elements) {
  const bool plus_one = form.kind == NormKind::kRmsPlusOne;
  declaration.vector(name, ParameterRole::kNorm, columns, plus_one ? 0.0F : 1.0F);
  declaration.keep(elements / columns, form.kind == NormKind::kLayerNorm ? 2 : 1);
  if (plus_one && elements > 0) declaration.keep(columns);
  declaration.keep(elements);
}

void NormLayer::declare_unweighted(Declaration& declaration, std::int64_t columns, std::int64_t elements) {
  declaration.keep(elements / columns);
  declaration.keep(columns);
  declaration.keep(elements);
  declaration.use_in_backward(columns);
}

NormLayer::NormLayer(const ParameterTable& table, const std::string& weight, const NormForm& form,
                     const std::string& bias)
    : form_(form) {
  weight_.emplace(table, weight);
  if (form.bias) bias_.emplace(table, bias);
}

ConstTensorView NormLayer::bias_value(const Pass& pass) const {
  return bias_ ? bias_->value(pass.dense) : ConstTensorView();
}

/// 1 + weight, or 1.
TensorView NormLayer::shifted_weight(const Pass& pass, std::int64_t columns) const {
  const TensorView shifted = pass.arena.allocate({columns});
  if (!weight_) ops::zero(pass.execution, shifted);
  ops::affine(pass.execution, weight_ ? weight_->value(pass.dense) : ConstTensorView(shifted), 1.0F, 1.0F,
              shifted);
  return shifted;
}

NormLayer::Saved NormLayer::forward(const Pass& pass, ConstTensorView x) const {
  Saved saved;
  saved.inv_rms = pass.arena.allocate({x.rows()});
  if (form_.kind == NormKind::kLayerNorm) {
    saved.mean = pass.arena.allocate({x.rows()});
    saved.y = pass.arena.allocate(x.shape());
    ops::layer_norm_forward(pass.execution, x, weight_->value(pass.dense), bias_value(pass), form_.eps,
                            saved.y, saved.mean, saved.inv_rms);
    return saved;
  }
  const bool plain = form_.kind == NormKind::kRms && weight_;
  if (!plain) saved.weight = shifted_weight(pass, x.columns());
  saved.y = pass.arena.allocate(x.shape());
  ops::rms_norm_forward(pass.execution, x, plain ? weight_->value(pass.dense) : ConstTensorView(saved.weight),
                        form_.eps, saved.y, saved.inv_rms);
  return saved;
}

void NormLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                         TensorView dx, ops::Accumulate accumulate) const {
  const bool adds = accumulate == ops::Accumulate::kYes;
  const ArenaScope scope(pass.arena);
  const TensorView gradient =
      weight_ ? weight_->gradient(pass.dense_gradient) : pass.arena.allocate({x.columns()});
  if (form_.kind == NormKind::kLayerNorm) {
    ops::layer_norm_backward(pass.execution, dy, x, weight_->value(pass.dense), saved.mean, saved.inv_rms, dx,
                             gradient, bias_ ? bias_->gradient(pass.dense_gradient) : TensorView(), adds);
    return;
  }
  const bool plain = form_.kind == NormKind::kRms && weight_;
  ops::rms_norm_backward(pass.execution, dy, x,
                         plain ? weight_->value(pass.dense) : ConstTensorView(saved.weight), saved.inv_rms,
                         dx, gradient, adds);
}

}  // namespace troupe::layers
