#pragma once
#include <string>

#include "comm/collectives/communicator.h"
#include "experts/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// down( silu(gate x) ∘ (up x) ) for every token: a dense layer's FFN, or the shared experts
/// (arXiv 2002.05202). In two halves, so that an exchange can travel beside each; `exchange` is moved
/// on between pieces of a fixed number of rows.
class GatedFfn {
 public:
  struct Saved {
    TensorView gate_up;     // [tokens, 2 * size]
    TensorView activation;  // [tokens, size]
  };

  /// prefix: "layers/03/ffn/"; weights are prefix + "gate_up_proj" and "down_proj".
  GatedFfn(const ParameterTable& table, const std::string& prefix, std::int64_t size)
      : gate_up_(table, prefix + "gate_up_proj"), down_(table, prefix + "down_proj"), size_(size) {}

  [[nodiscard]] Saved allocate(Arena& arena, std::int64_t tokens) const;

  /// x: [tokens, hidden]; fills saved
  void expand(const Pass& pass, ConstTensorView x, const Saved& saved, comm::Pending& exchange) const;
  /// y: [tokens, hidden], overwritten
  void contract(const Pass& pass, const Saved& saved, TensorView y, comm::Pending& exchange) const;

  /// Replaces saved.gate_up by the gradient with respect to it.
  void backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                         comm::Pending& exchange) const;
  /// dx: [tokens, hidden], overwritten; and the weights' gradients.
  void backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                       TensorView dx, comm::Pending& exchange) const;

 private:
  ParameterHandle gate_up_;
  ParameterHandle down_;
  std::int64_t size_;
};

}  // namespace troupe::experts
