#pragma once
#include <optional>
#include <string>

#include "layers/declaration.h"
#include "layers/options.h"
#include "layers/parameter_handle.h"
#include "layers/pass.h"
#include "tensor/ops/gemm/gemm.h"
#include "tensor/tensor.h"

namespace troupe::layers {

/// A norm with a learned weight, of any kind of NormForm: RMSNorm, RMSNorm with the factor 1 + weight, or
/// layer norm, with or without a bias.
class NormLayer {
 public:
  struct Saved {
    TensorView inv_rms;  // [rows]; of a layer norm 1 / standard deviation
    TensorView mean;     // [rows], of a layer norm
    TensorView weight;   // [columns], 1 + weight where that is the factor, or 1 without one
    TensorView y;        // [rows, columns]
  };

  /// "weight" and, with a bias, "bias".
  static void declare(Declaration& declaration, const NormForm& form, std::int64_t hidden);
  /// A weight called `name` of `columns`, without a bias, for `elements` elements.
  static void declare_as(Declaration& declaration, const std::string& name, const NormForm& form,
                         std::int64_t columns, std::int64_t elements);

  /// For `elements` elements in rows of `columns`, without a weight.
  static void declare_unweighted(Declaration& declaration, std::int64_t columns, std::int64_t elements);

  /// An RMSNorm without a weight.
  explicit NormLayer(double eps) : form_{.kind = NormKind::kRms, .bias = false, .eps = eps} {}
  /// weight: its name; bias: its name, where the form has one.
  NormLayer(const ParameterTable& table, const std::string& weight, const NormForm& form,
            const std::string& bias = {});
  /// What declare() declared with the prefix `folder`: "layers/03/ffn_norm/".
  [[nodiscard]] static NormLayer in_folder(const ParameterTable& table, const std::string& folder,
                                           const NormForm& form) {
    return {table, folder + "weight", form, folder + "bias"};
  }

  /// x: [rows, columns]; the result is saved.y.
  [[nodiscard]] Saved forward(const Pass& pass, ConstTensorView x) const;

  /// dx is added to, as where it holds the gradient of the residual path, or overwritten: then it may be dy.
  void backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved, TensorView dx,
                ops::Accumulate accumulate = ops::Accumulate::kYes) const;

 private:
  [[nodiscard]] ConstTensorView bias_value(const Pass& pass) const;
  [[nodiscard]] TensorView shifted_weight(const Pass& pass, std::int64_t columns) const;

  NormForm form_;
  std::optional<ParameterHandle> weight_;
  std::optional<ParameterHandle> bias_;
};

}  // namespace troupe::layers
