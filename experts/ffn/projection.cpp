#include "experts/ffn/projection.h"

#include "tensor/ops/bias/bias.h"

namespace troupe::experts {

using ops::Transpose;

std::string input_projection(const FfnForm& form) {
  return ops::input_columns(form.activation) == 2 ? "gate_up" : "up";
}

Projection::Projection(const ParameterTable& table, const std::string& name, bool bias, std::int64_t expert)
    : weight_(table, name + "_proj", expert) {
  if (bias) bias_.emplace(table, name + "_bias", expert);
}

void Projection::forward(const Execution& execution, std::span<const float> weights, ConstTensorView x,
                         TensorView y) const {
  ops::gemm(execution, Transpose::kNo, Transpose::kYes, x, weight_.value(weights), y);
  if (bias_) ops::add_bias(execution, bias_->value(weights), y);
}

void Projection::backward(const Execution& execution, std::span<const float> weights, ConstTensorView dy,
                          TensorView dx) const {
  ops::gemm(execution, Transpose::kNo, Transpose::kNo, dy, weight_.value(weights), dx);
}

void Projection::weight_gradients(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                                  std::span<float> gradient, ops::Accumulate accumulate) const {
  weight_gradients(execution, 0, dy.columns(), dy, x, gradient, accumulate);
}

void Projection::weight_gradients(const Execution& execution, std::int64_t first, std::int64_t count,
                                  ConstTensorView dy, ConstTensorView x, std::span<float> gradient,
                                  ops::Accumulate accumulate) const {
  const ConstTensorView outputs = dy.columns(first, count);
  ops::gemm(execution, Transpose::kYes, Transpose::kNo, outputs, x,
            weight_.gradient(gradient).rows(first, count), accumulate);
  if (!bias_) return;
  ops::bias_gradient(execution, outputs, bias_->gradient(gradient).rows(first, count), accumulate);
}

}  // namespace troupe::experts
