#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "layers/declaration.h"
#include "layers/parameter_handle.h"
#include "tensor/execution.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::layers {

/// y = x Wᵀ (+ b): a weight [out, in] and, with a bias, [out]. The caller says which buffer, as dense
/// parameters and experts have one each.
class Projection {
 public:
  /// What a projection reads or writes of the residual stream.
  enum class Side : std::uint8_t { kInput, kOutput };
  static void declare(Declaration& declaration, const std::string& name, Side side, std::int64_t out,
                      std::int64_t in, bool bias);
  /// Of several projections in one, whose outputs follow each other.
  static void declare(Declaration& declaration, const std::string& name, Side side,
                      std::span<const Declaration::Rows> outputs, std::int64_t in, bool bias);

  /// NAME_proj and, with a bias, NAME_bias; name: "layers/03/ffn/down"; expert: -1 for a dense one.
  /// kInternal when the table has no such parameter.
  Projection(const ParameterTable& table, const std::string& name, bool bias, std::int64_t expert = -1);
  explicit Projection(const ParameterHandle& weight, std::optional<ParameterHandle> bias = std::nullopt)
      : weight_(weight), bias_(bias) {}

  /// The same for outputs [first, first + count) only.
  [[nodiscard]] Projection outputs(std::int64_t first, std::int64_t count) const;
  [[nodiscard]] std::int64_t width() const { return weight_.row_count(); }  // out
  [[nodiscard]] const ParameterHandle& weight() const { return weight_; }
  /// Where the weight starts in a buffer, in elements.
  [[nodiscard]] std::int64_t weight_offset() const { return weight_.offset(); }

  /// x: [rows, in], y: [rows, out], overwritten
  void forward(const Execution& execution, ConstTensorView weights, ConstTensorView x, TensorView y) const;
  /// dy: [rows, out], dx: [rows, in], overwritten or added to
  void backward(const Execution& execution, ConstTensorView weights, ConstTensorView dy, TensorView dx,
                ops::Accumulate accumulate = ops::Accumulate::kNo) const;
  /// The gradients of W and b, which overwrite or are added, each a complete sum over the rows.
  void weight_gradients(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                        TensorView gradient, ops::Accumulate accumulate = ops::Accumulate::kNo) const;

 private:
  ParameterHandle weight_;
  std::optional<ParameterHandle> bias_;
};

}  // namespace troupe::layers
