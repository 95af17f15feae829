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

NormLayer::NormLayer(const ParameterTable& table, const std::string& weight, const NormForm& form,
                     const std::string& bias)
    : form_(form), weight_(table, weight) {
  if (form.bias) bias_.emplace(table, bias);
}

ConstTensorView NormLayer::bias_value(const Pass& pass) const {
  return bias_ ? bias_->value(pass.dense) : ConstTensorView();
}

NormLayer::Saved NormLayer::forward(const Pass& pass, ConstTensorView x) const {
  Saved saved;
  saved.inv_rms = pass.arena.allocate({x.rows()});
  const ConstTensorView weight = weight_.value(pass.dense);
  switch (form_.kind) {
    case NormKind::kRms:
      saved.y = pass.arena.allocate(x.shape());
      ops::rms_norm_forward(pass.execution, x, weight, form_.eps, saved.y, saved.inv_rms);
      break;
    case NormKind::kRmsPlusOne:
      saved.weight = pass.arena.allocate(weight.shape());
      saved.y = pass.arena.allocate(x.shape());
      ops::affine(pass.execution, weight, 1.0F, 1.0F, saved.weight);
      ops::rms_norm_forward(pass.execution, x, saved.weight, form_.eps, saved.y, saved.inv_rms);
      break;
    case NormKind::kLayerNorm:
      saved.mean = pass.arena.allocate({x.rows()});
      saved.y = pass.arena.allocate(x.shape());
      ops::layer_norm_forward(pass.execution, x, weight, bias_value(pass), form_.eps, saved.y, saved.mean,
                              saved.inv_rms);
      break;
  }
  return saved;
}

void NormLayer::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                         TensorView dx, ops::Accumulate accumulate) const {
  const bool adds = accumulate == ops::Accumulate::kYes;
  const TensorView gradient = weight_.gradient(pass.dense_gradient);
  if (form_.kind == NormKind::kLayerNorm) {
    ops::layer_norm_backward(pass.execution, dy, x, weight_.value(pass.dense), saved.mean, saved.inv_rms, dx,
                             gradient, bias_ ? bias_->gradient(pass.dense_gradient) : TensorView(), adds);
    return;
  }
  const ConstTensorView weight =
      form_.kind == NormKind::kRms ? weight_.value(pass.dense) : ConstTensorView(saved.weight);
  ops::rms_norm_backward(pass.execution, dy, x, weight, saved.inv_rms, dx, gradient, adds);
}

}  // namespace troupe::layers
