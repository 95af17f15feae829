#pragma once
#include <string>

#include "layers/declaration.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/embedding/embedding.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::layers {

/// A row of [vocab, hidden] for every token id.
class Embedding {
 public:
  static void declare(Declaration& declaration, std::int64_t vocab_size, std::int64_t hidden) {
    declaration.matrix("weight", ParameterRole::kEmbedding, vocab_size, hidden);
    declaration.keep(declaration.tokens() * hidden);
  }

  Embedding(const ParameterTable& table, const std::string& name) : weight_(table, name) {}

  /// For a head that is tied to it.
  [[nodiscard]] const ParameterHandle& weight() const { return weight_; }

  /// tokens: [tokens] i32; y: [tokens, hidden], overwritten
  void forward(const Pass& pass, ConstTensorView tokens, TensorView y) const {
    ops::embedding_forward(pass.execution, tokens, weight_.value(pass.dense), y);
  }

  /// dy: [tokens, hidden]. The weight's gradient is overwritten, or added to where a tied head's is there.
  void backward(const Pass& pass, ConstTensorView tokens, ConstTensorView dy,
                ops::Accumulate accumulate) const {
    const TensorView gradient = weight_.gradient(pass.dense_gradient);
    if (accumulate == ops::Accumulate::kNo) ops::zero(pass.execution, gradient);
    ops::embedding_backward(pass.execution, tokens, dy, gradient);
  }

 private:
  ParameterHandle weight_;
};

}  // namespace troupe::layers
