#pragma once
#include <cstdint>
#include <memory>
#include <span>

#include "experts/options.h"
#include "experts/pass.h"
#include "tensor/tensor.h"

namespace troupe::experts {

/// What a selection goes by, of one microbatch.
struct SelectionInput {
  ConstTensorView values;       // [tokens, choices]: scores, or logits with softmax_after_topk
  ConstTensorView logits;       // [tokens, choices]
  std::span<const float> bias;  // [choices], balance bias
};

/// Chooses the experts of a microbatch's tokens. One per router; a pure function of its input and of the
/// microbatch's random numbers, so the same on every layout.
class Selector {
 public:
  virtual ~Selector() = default;

  /// Columns of `chosen`: the most experts that a token can have. tokens: of the microbatch
  [[nodiscard]] virtual std::int64_t slots(std::int64_t tokens) const = 0;

  /// chosen: [tokens, slots] i32, best first, distinct in a row; -1 in slots that stay empty, which are
  /// a row's last
  virtual void select(const Pass& pass, const SelectionInput& input, TensorView chosen) const = 0;
};

[[nodiscard]] std::unique_ptr<Selector> make_selector(const MoeOptions& options);

}  // namespace troupe::experts
