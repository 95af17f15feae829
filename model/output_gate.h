#pragma once
#include <cstdint>

#include "layers/pass.h"
#include "layers/projection.h"
#include "model/layer_spec.h"
#include "tensor/tensor.h"

namespace troupe::model {

/// Multiplies what the heads of a mixer give by the sigmoid of a projection of the mixer's input (Qwen3-Next,
/// arXiv 2505.06708).
class OutputGate {
 public:
  struct Saved {
    TensorView gate;  // [tokens, width], before the sigmoid
    TensorView y;     // [tokens, width]
  };

  /// gate_proj [width, hidden], with a bias where queries have one.
  static void declare(layers::Declaration& declaration, const AttentionOptions& options, std::int64_t width,
                      std::int64_t hidden_size);

  OutputGate(const LayerSpec& layer, const ParameterTable& table);

  /// x: [tokens, hidden]; out: [tokens, width]; the result is saved.y
  void forward(const Pass& pass, ConstTensorView x, ConstTensorView out, Saved& saved) const;
  /// dout: [tokens, width], of saved.y, becomes that of `out`; dgate: of saved.gate, overwritten
  void backward(const Pass& pass, ConstTensorView out, const Saved& saved, TensorView dout,
                TensorView dgate) const;
  /// From that to the input and the weight. dx: [tokens, hidden], added to
  void backward_input(const Pass& pass, ConstTensorView dgate, ConstTensorView x, TensorView dx) const;

 private:
  layers::Projection gate_;
};

}  // namespace troupe::model
