#pragma once
#include <optional>
#include <string>

#include "comm/collectives/communicator.h"
#include "experts/options.h"
#include "layers/feed_forward.h"
#include "layers/parameter_handle.h"

namespace troupe::experts {

/// The experts that see every token: one FFN of width shared_experts * expert_size and, with shared_gate,
/// its output times sigmoid(gate · x) of the token (Qwen2-MoE, Qwen3-Next). The gate's weight is
/// prefix + "gate_weight" [1, hidden].
class SharedExperts {
 public:
  struct Saved {
    layers::FeedForward::Saved ffn;
    // With a gate:
    TensorView gate;    // [tokens, 1], sigmoid(gate · x)
    TensorView output;  // [tokens, hidden], of the FFN; after backward_contract the gradient of it
    TensorView rows;    // [tokens, 1] i32: 0, 1, …
  };

  static void declare(layers::Declaration& declaration, const MoeOptions& options,
                      const layers::FfnForm& form, std::int64_t hidden_size);

  /// prefix: "layers/03/shared_experts/"
  SharedExperts(const MoeOptions& options, const layers::FfnForm& form, const ParameterTable& table,
                const std::string& prefix, const layers::Dropout& dropout);

  [[nodiscard]] Saved allocate(Arena& arena, std::int64_t tokens, std::int64_t hidden) const;

  /// As FeedForward's; the exchange moves on beside them.
  void expand(const Pass& pass, ConstTensorView x, const Saved& saved, comm::Pending& exchange) const;
  void contract(const Pass& pass, const Saved& saved, TensorView y, comm::Pending& exchange) const;
  /// Also replaces saved.gate by the gradient of the gate's logit.
  void backward_contract(const Pass& pass, ConstTensorView dy, const Saved& saved,
                         comm::Pending& exchange) const;
  void backward_expand(const Pass& pass, ConstTensorView dy, ConstTensorView x, const Saved& saved,
                       TensorView dx, comm::Pending& exchange) const;

 private:
  layers::FeedForward ffn_;
  std::optional<ParameterHandle> gate_;
};

}  // namespace troupe::experts
