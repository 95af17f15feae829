#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "experts/options.h"
#include "experts/pass.h"
#include "tensor/ops/gemm/gemm.h"

namespace troupe::experts {

/// "gate_up" or, without a gate, "up": what an FFN's first projection is called.
[[nodiscard]] std::string input_projection(const FfnForm& form);

/// y = x Wᵀ (+ b): a weight NAME_proj [out, in] and, with a bias, NAME_bias [out]. The caller says which
/// buffer, as dense parameters and experts have one each.
class Projection {
 public:
  /// name: "layers/03/ffn/down"; expert: -1 for a dense one. kInternal when the table has no such parameter.
  Projection(const ParameterTable& table, const std::string& name, bool bias, std::int64_t expert = -1);

  /// x: [rows, in], y: [rows, out], overwritten
  void forward(const Execution& execution, std::span<const float> weights, ConstTensorView x,
               TensorView y) const;
  /// dy: [rows, out], dx: [rows, in], overwritten
  void backward(const Execution& execution, std::span<const float> weights, ConstTensorView dy,
                TensorView dx) const;
  /// The gradients of W and b, which overwrite or are added, each a complete sum over the rows.
  void weight_gradients(const Execution& execution, ConstTensorView dy, ConstTensorView x,
                        std::span<float> gradient, ops::Accumulate accumulate) const;
  /// The same for outputs [first, first + count) only.
  void weight_gradients(const Execution& execution, std::int64_t first, std::int64_t count,
                        ConstTensorView dy, ConstTensorView x, std::span<float> gradient,
                        ops::Accumulate accumulate) const;

 private:
  ParameterHandle weight_;
  std::optional<ParameterHandle> bias_;
};

}  // namespace troupe::experts
