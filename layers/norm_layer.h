#pragma once
#include <string>

#include "layers/declaration.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/ops/rms_norm/rms_norm.h"
#include "tensor/tensor.h"

namespace troupe::layers {

/// RMSNorm with a learned weight.
class NormLayer {
 public:
  struct Saved {
    TensorView inv_rms;  // [tokens]
    TensorView y;        // [tokens, hidden]
  };

  static void declare(Declaration& declaration, std::int64_t hidden) {
    declaration.vector("weight", ParameterRole::kNorm, hidden, 1.0F);
    declaration.keep(declaration.tokens());
    declaration.keep(declaration.tokens() * hidden);
  }

  NormLayer(const ParameterTable& table, const std::string& name, double eps)
      : weight_(table, name), eps_(eps) {}

  /// x: [tokens, hidden]; the result is saved.y.
  [[nodiscard]] Saved forward(const Pass& pass, ConstTensorView x) const {
    const Saved saved{pass.arena.allocate({x.rows()}), pass.arena.allocate(x.shape())};
    ops::rms_norm_forward(pass.execution, x, weight_.value(pass.dense), eps_, saved.y, saved.inv_rms);
    return saved;
  }

  /// dx is added to: it holds the gradient of the residual path.
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                TensorView dx) const {
    ops::rms_norm_backward(pass.execution, dy, x, weight_.value(pass.dense), saved.inv_rms, dx,
                           weight_.gradient(pass.dense_gradient), true);
  }

 private:
  ParameterHandle weight_;
  double eps_;
};

}  // namespace troupe::layers
