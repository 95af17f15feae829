#include "model/output_gate.h"

#include "tensor/ops/sigmoid_gate/sigmoid_gate.h"

namespace troupe::model {

void OutputGate::declare(layers::Declaration& declaration, const AttentionOptions& options,
                         std::int64_t width, std::int64_t hidden_size) {
  layers::Projection::declare(declaration, "gate", layers::Projection::Side::kInput, width, hidden_size,
                              options.qkv_bias);
  declaration.keep(declaration.tokens() * width, 2);
  declaration.use_in_backward(declaration.tokens() * width);
}

OutputGate::OutputGate(const LayerSpec& layer, const ParameterTable& table)
    : gate_(table, layer.prefix + "attention/gate", layer.mixer.qkv_bias) {}

void OutputGate::forward(const Pass& pass, ConstTensorView x, ConstTensorView out, Saved& saved) const {
  saved.gate = pass.arena.allocate(out.shape());
  saved.y = pass.arena.allocate(out.shape());
  gate_.forward(pass.execution, pass.dense, x, saved.gate);
  ops::sigmoid_gate(pass.execution, out, saved.gate, saved.y);
}

void OutputGate::backward(const Pass& pass, ConstTensorView out, const Saved& saved, TensorView dout,
                          TensorView dgate) const {
  ops::sigmoid_gate_backward(pass.execution, dout, out, saved.gate, dout, dgate);
}

void OutputGate::backward_input(const Pass& pass, ConstTensorView dgate, ConstTensorView x,
                                TensorView dx) const {
  gate_.backward(pass.execution, pass.dense, dgate, dx, ops::Accumulate::kYes);
  gate_.weight_gradients(pass.execution, dgate, x, pass.dense_gradient);
}

}  // namespace troupe::model
