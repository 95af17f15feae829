#pragma once
#include <memory>

#include "experts/dispatch/dispatch_plan.h"
#include "experts/options.h"
#include "layers/pass.h"

namespace troupe::experts {

/// Where a slot's weight multiplies (`router.weight_on`): an expert's output, or its input (Llama 4).
/// Between tokens, [tokens, hidden], and the plan's sent rows, [rows_sent, hidden]; weights and dweights:
/// [tokens, slots]. Slots are added in order; an empty one adds nothing and has the gradient 0.
class SlotWeights {
 public:
  virtual ~SlotWeights() = default;

  /// rows: [count, hidden], overwritten with the experts' inputs for the sent rows from `first` on.
  virtual void gather(const Pass& pass, ConstTensorView x, const DispatchPlan& plan, ConstTensorView weights,
                      std::int64_t first, TensorView rows) const = 0;
  /// y = Σ slots + base; base may be empty.
  virtual void combine(const Pass& pass, ConstTensorView outputs, const DispatchPlan& plan,
                       ConstTensorView weights, ConstTensorView base, TensorView y) const = 0;

  /// Overwrites doutputs and dweights, the latter with what combine() gives.
  virtual void combine_backward(const Pass& pass, ConstTensorView dy, ConstTensorView outputs,
                                const DispatchPlan& plan, ConstTensorView weights, TensorView doutputs,
                                TensorView dweights) const = 0;
  /// Adds to dx, and to dweights what gather() gives.
  virtual void gather_backward(const Pass& pass, ConstTensorView dinputs, ConstTensorView x,
                               const DispatchPlan& plan, ConstTensorView weights, TensorView dx,
                               TensorView dweights) const = 0;
};

[[nodiscard]] std::unique_ptr<SlotWeights> make_slot_weights(WeightOn weight_on);

}  // namespace troupe::experts
