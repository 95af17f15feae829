#include "experts/dispatch/staged_exchange.h"

#include "tensor/transfer.h"

namespace troupe::experts {

TensorView StagedExchange::Stage::view(const Shape& shape) {
  if (memory_.elements() < shape.elements()) memory_ = Tensor({shape.elements() + shape.elements() / 4});
  return memory_.view().rows(0, shape.elements()).reshaped(shape);
}

void StagedExchange::Upload::start(comm::Pending travelling, Accelerator* accelerator,
                                   ConstTensorView arrived, TensorView to) {
  accelerator_ = accelerator;
  begin(std::move(travelling), arrived, to);
}

void StagedExchange::Upload::finish() { transfer(accelerator_, arrived(), to()); }

comm::Pending StagedExchange::start(const Pass& pass, const RowTable& rows, ConstTensorView from,
                                    TensorView to) {
  if (in_place() || from.device() == DeviceKind::kCpu) return wrapped().start(pass, rows, from, to);
  const TensorView sent = sent_.view(from.shape());
  const TensorView arrived = arrived_.view(to.shape());
  transfer(pass.execution.accelerator, from, sent);
  upload_.start(wrapped().start(pass, rows, sent, arrived), pass.execution.accelerator, arrived, to);
  return comm::Pending(upload_);
}

}  // namespace troupe::experts
