#include "layers/projection.h"

#include "tensor/ops/bias/bias.h"

namespace troupe::layers {

using ops::Transpose;

void Projection::declare(Declaration& declaration, const std::string& name, Side side, std::int64_t out,
                         std::int64_t in, bool bias) {
  const Declaration::Rows all{out};
  declare(declaration, name, side, {&all, 1}, in, bias);
}

void Projection::declare(Declaration& declaration, const std::string& name, Side side,
                         std::span<const Declaration::Rows> outputs, std::int64_t in, bool bias) {
  const bool input = side == Side::kInput;
  declaration.matrices(name + "_proj", input ? ParameterRole::kInput : ParameterRole::kOutput, outputs, in);
  if (!bias) return;
  std::int64_t out = 0;
  for (const Declaration::Rows& rows : outputs) out += rows.count;
  declaration.vector(name + "_bias", input ? ParameterRole::kInputBias : ParameterRole::kOutputBias, out,
                     0.0F);
}

Projection::Projection(const ParameterTable& table, const std::string& name, bool bias, std::int64_t expert)
    : weight_(table, name + "_proj", expert) {
  if (bias) bias_.emplace(table, name + "_bias", expert);
}

Projection Projection::outputs(std::int64_t first, std::int64_t count) const {
  Projection part(weight_.rows(first, count));
  if (bias_) part.bias_ = bias_->rows(first, count);
  return part;
}

void Projection::forward(const Execution& execution, ConstTensorView weights, ConstTensorView x,
                         TensorView y) const {
  ops::gemm(execution, Transpose::kNo, Transpose::kYes, x, weight_.value(weights), y);
  if (bias_) ops::add_bias(execution, bias_->value(weights), y);
}

void Projection::backward(const Execution& execution, ConstTensorView weights, ConstTensorView dy,
                          TensorView dx, ops::Accumulate accumulate) const {
  ops::gemm(execution, Transpose::kNo, Transpose::kNo, dy, weight_.value(weights), dx, accumulate);
}

void Projection::weight_gradients(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                                  TensorView gradient, ops::Accumulate accumulate) const {
  ops::gemm(execution, Transpose::kYes, Transpose::kNo, dy, x, weight_.gradient(gradient), accumulate);
  if (bias_) ops::bias_gradient(execution, dy, bias_->gradient(gradient), accumulate);
}

}  // namespace troupe::layers
