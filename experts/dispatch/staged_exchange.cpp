#include "experts/dispatch/staged_exchange.h"

#include "tensor/transfer.h"

namespace troupe::experts {

TensorView StagedExchange::Stage::view(const Shape& shape) {
  if (memory_.elements() < shape.elements()) memory_ = Tensor({shape.elements() + shape.elements() / 4});
  return memory_.view().rows(0, shape.elements()).reshaped(shape);
}

void StagedExchange::Arrival::start(comm::Pending travelling, Accelerator* accelerator,
                                    ConstTensorView arrived, TensorView to) {
  travelling_ = std::move(travelling);
  accelerator_ = accelerator;
  arrived_ = arrived;
  to_ = to;
}

bool StagedExchange::Arrival::progress() {
  if (!travelling_.progress()) return false;
  transfer(accelerator_, arrived_, to_);
  return true;
}

void StagedExchange::Arrival::wait() {
  travelling_.wait();
  transfer(accelerator_, arrived_, to_);
}

comm::Pending StagedExchange::start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                    TensorView to) {
  if (in_place() || from.device() == Device::kCpu) return exchange_->start(pass, rows, from, to);
  const TensorView sent = sent_.view(from.shape());
  const TensorView arrived = arrived_.view(to.shape());
  transfer(pass.execution.accelerator, from, sent);
  arrival_.start(exchange_->start(pass, rows, sent, arrived), pass.execution.accelerator, arrived, to);
  return comm::Pending(arrival_);
}

}  // namespace troupe::experts
