#include "experts/dispatch/bf16_exchange.h"

#include "tensor/ops/bf16/bf16.h"

namespace troupe::experts {

void Bf16Exchange::Widening::start(comm::Pending travelling, Execution execution, ConstTensorView arrived,
                                   TensorView to) {
  travelling_ = std::move(travelling);
  execution_ = execution;
  arrived_ = arrived;
  to_ = to;
}

bool Bf16Exchange::Widening::progress() {
  if (!travelling_.progress()) return false;
  ops::from_bf16(execution_, arrived_, to_);
  return true;
}

void Bf16Exchange::Widening::wait() {
  travelling_.wait();
  ops::from_bf16(execution_, arrived_, to_);
}

comm::Pending Bf16Exchange::start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                  TensorView to) {
  if (in_place()) {
    ops::round_to_bf16(pass.execution, to);
    return exchange_->start(pass, rows, from, to);
  }
  const TensorView sent = pass.arena.allocate(from.shape(), DType::kBF16);
  const TensorView arrived = pass.arena.allocate(to.shape(), DType::kBF16);
  ops::to_bf16(pass.execution, from, sent);
  widening_.start(exchange_->start(pass, rows, sent, arrived), pass.execution, arrived, to);
  return comm::Pending(widening_);
}

}  // namespace troupe::experts
