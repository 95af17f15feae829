#include "experts/dispatch/bf16_exchange.h"

#include "tensor/ops/bf16/bf16.h"

namespace troupe::experts {

void Bf16Exchange::Widening::start(comm::Pending travelling, Execution execution, ConstTensorView arrived,
                                   TensorView to) {
  execution_ = execution;
  begin(std::move(travelling), arrived, to);
}

void Bf16Exchange::Widening::finish() { ops::from_bf16(execution_, arrived(), to()); }

comm::Pending Bf16Exchange::start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                  TensorView to) {
  if (in_place()) {
    ops::round_to_bf16(pass.execution, to);
    return wrapped().start(pass, rows, from, to);
  }
  const TensorView sent = pass.arena.allocate(from.shape(), DType::kBF16);
  const TensorView arrived = pass.arena.allocate(to.shape(), DType::kBF16);
  ops::to_bf16(pass.execution, from, sent);
  widening_.start(wrapped().start(pass, rows, sent, arrived), pass.execution, arrived, to);
  return comm::Pending(widening_);
}

}  // namespace troupe::experts
