#include "experts/dispatch/slot_weights.h"

#include <algorithm>

#include "base/index.h"
#include "experts/rows.h"
#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::experts {
namespace {

class OutputWeights final : public SlotWeights {
 public:
  void gather(const Pass& pass, ConstTensorView x, const DispatchPlan& plan, ConstTensorView /*weights*/,
              std::int64_t first, TensorView rows) const override {
    ops::gather_rows(pass.execution, x, plan.tokens().rows(first, rows.rows()), rows);
  }

  void combine(const Pass& pass, ConstTensorView outputs, const DispatchPlan& plan, ConstTensorView weights,
               ConstTensorView base, TensorView y) const override {
    ops::combine_rows(pass.execution, outputs, plan.slots(), weights, base, y);
  }

  void combine_backward(const Pass& pass, ConstTensorView dy, ConstTensorView outputs,
                        const DispatchPlan& plan, ConstTensorView weights, TensorView doutputs,
                        TensorView dweights) const override {
    ops::combine_rows_backward(pass.execution, dy, outputs, plan.slots(), weights, doutputs, dweights);
  }

  void gather_backward(const Pass& pass, ConstTensorView dinputs, ConstTensorView /*x*/,
                       const DispatchPlan& plan, ConstTensorView /*weights*/, TensorView dx,
                       TensorView /*dweights*/) const override {
    ops::scatter_slots_add(pass.execution, dinputs, plan.slots(), dx);
  }
};

class InputWeights final : public SlotWeights {
 public:
  void gather(const Pass& pass, ConstTensorView x, const DispatchPlan& plan, ConstTensorView weights,
              std::int64_t first, TensorView rows) const override {
    ops::gather_rows(pass.execution, x, plan.tokens().rows(first, rows.rows()), rows);
    const auto weight = weights.floats();
    for_tokens(pass.execution, rows.rows(), [&](std::int64_t index, std::int64_t) {
      const float factor = weight[at(plan.pairs().i32()[first + index])];
      for (float& value : row(rows, index)) value *= factor;
    });
  }

  void combine(const Pass& pass, ConstTensorView outputs, const DispatchPlan& plan, ConstTensorView weights,
               ConstTensorView base, TensorView y) const override {
    const ArenaScope scope(pass.arena);
    const TensorView ones = pass.arena.allocate(weights.shape());
    std::ranges::fill(ones.floats(), 1.0F);
    ops::combine_rows(pass.execution, outputs, plan.slots(), ones, base, y);
  }

  void combine_backward(const Pass& pass, ConstTensorView dy, ConstTensorView /*outputs*/,
                        const DispatchPlan& plan, ConstTensorView /*weights*/, TensorView doutputs,
                        TensorView dweights) const override {
    ops::gather_rows(pass.execution, dy, plan.tokens(), doutputs);
    ops::zero(pass.execution, dweights);
  }

  void gather_backward(const Pass& pass, ConstTensorView dinputs, ConstTensorView x, const DispatchPlan& plan,
                       ConstTensorView weights, TensorView dx, TensorView dweights) const override {
    ops::combine_rows(pass.execution, dinputs, plan.slots(), weights, dx, dx);
    ops::add_slot_products(pass.execution, x, dinputs, plan.slots(), dweights);
  }
};

}  // namespace

std::unique_ptr<SlotWeights> make_slot_weights(WeightOn weight_on) {
  if (weight_on == WeightOn::kInput) return std::make_unique<InputWeights>();
  return std::make_unique<OutputWeights>();
}

}  // namespace troupe::experts
