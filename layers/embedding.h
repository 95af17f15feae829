#pragma once
#include <optional>
#include <string>

#include "layers/declaration.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/ops/elementwise/elementwise.h"
#include "tensor/ops/embedding/embedding.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::layers {

/// A row of [vocab, hidden] for every token id, times a factor, and where there is such a table one of
/// [positions, hidden] for its position in the document (GPT-2).
class Embedding {
 public:
  /// positions: 0: none
  static void declare(Declaration& declaration, std::int64_t vocab_size, std::int64_t hidden,
                      std::int64_t positions) {
    declaration.matrix("weight", ParameterRole::kEmbedding, vocab_size, hidden);
    if (positions > 0) {
      declaration.matrix("positions", ParameterRole::kEmbedding, positions, hidden);
      declaration.use_in_forward(declaration.tokens() * hidden);
    }
    declaration.keep(declaration.tokens() * hidden);
  }

  /// folder: "embedding/"
  Embedding(const ParameterTable& table, const std::string& folder, double scale, std::int64_t positions)
      : weight_(table, folder + "weight"), scale_(static_cast<float>(scale)) {
    if (positions > 0) positions_.emplace(table, folder + "positions");
  }

  /// For a head that is tied to it.
  [[nodiscard]] const ParameterHandle& weight() const { return weight_; }

  /// tokens, positions: [tokens] i32; y: [tokens, hidden], overwritten
  void forward(const Pass& pass, ConstTensorView tokens, ConstTensorView positions, TensorView y) const {
    ops::embedding_forward(pass.execution, tokens, weight_.value(pass.dense), y);
    if (scale_ != 1.0F) ops::affine(pass.execution, y, scale_, 0.0F, y);
    if (!positions_) return;
    const ArenaScope scope(pass.arena);
    const TensorView of_position = pass.arena.allocate(y.shape());
    ops::embedding_forward(pass.execution, positions, positions_->value(pass.dense), of_position);
    ops::add(pass.execution, of_position, y);
  }

  /// dy: [tokens, hidden], not kept. The weight's gradient is overwritten, or added to where a tied head's is
  /// there.
  void backward(const Pass& pass, ConstTensorView tokens, ConstTensorView positions, TensorView dy,
                ops::Accumulate accumulate) const {
    if (positions_) add_rows(pass, positions, dy, positions_->gradient(pass.dense_gradient), true);
    if (scale_ != 1.0F) ops::affine(pass.execution, dy, scale_, 0.0F, dy);
    add_rows(pass, tokens, dy, weight_.gradient(pass.dense_gradient), accumulate == ops::Accumulate::kNo);
  }

 private:
  static void add_rows(const Pass& pass, ConstTensorView rows, ConstTensorView dy, TensorView gradient,
                       bool from_zero) {
    if (from_zero) ops::zero(pass.execution, gradient);
    ops::embedding_backward(pass.execution, rows, dy, gradient);
  }

  ParameterHandle weight_;
  std::optional<ParameterHandle> positions_;
  float scale_;
};

}  // namespace troupe::layers
