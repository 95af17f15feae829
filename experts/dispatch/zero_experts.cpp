#include "experts/dispatch/zero_experts.h"

#include "tensor/ops/elementwise/elementwise.h"

namespace troupe::experts {

TensorView ZeroExperts::own_rows(const Pass& pass, ConstTensorView chosen) const {
  const TensorView rows = pass.arena.allocate(chosen.shape(), DType::kI32);
  for (std::int64_t i = 0; i < chosen.elements(); ++i) {
    rows.i32()[i] = chosen.i32()[i] >= experts_ ? static_cast<std::int32_t>(i / chosen.columns()) : -1;
  }
  return rows;
}

void ZeroExperts::forward(const Pass& pass, ConstTensorView x, ConstTensorView chosen,
                          ConstTensorView weights, TensorView y) const {
  const ArenaScope scope(pass.arena);
  ops::combine_rows(pass.execution, x, own_rows(pass, chosen), weights, y, y);
}

void ZeroExperts::backward(const Pass& pass, ConstTensorView dy, ConstTensorView x, ConstTensorView chosen,
                           ConstTensorView weights, TensorView dweights, TensorView dx) const {
  const ArenaScope scope(pass.arena);
  const TensorView rows = own_rows(pass, chosen);
  ops::combine_rows(pass.execution, dy, rows, weights, dx, dx);
  ops::add_slot_products(pass.execution, dy, x, rows, dweights);
}

}  // namespace troupe::experts
