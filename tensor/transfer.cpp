#include "tensor/transfer.h"

#include <cstring>

#include "base/index.h"

namespace troupe {

void transfer(Accelerator* accelerator, ConstTensorView from, TensorView to) {
  TROUPE_CHECK(
      from.contiguous() && to.contiguous() && from.dtype() == to.dtype() && from.elements() == to.elements(),
      "a transfer of {} to {}", from.shape().to_string(), to.shape().to_string());
  const std::size_t bytes = at(from.elements() * size_bytes(from.dtype()));
  if (bytes == 0) return;
  const bool from_host = from.device() == DeviceKind::kCpu;
  const bool to_host = to.device() == DeviceKind::kCpu;
  TROUPE_CHECK(accelerator != nullptr || (from_host && to_host), "a transfer of {} without its device",
               from.shape().to_string());
  if (from_host && to_host) {
    std::memcpy(to.data(), from.data(), bytes);
  } else if (from_host) {
    accelerator->upload({from.data(), bytes}, to.data());
  } else if (to_host) {
    accelerator->download(from.data(), {to.data(), bytes});
  } else {
    accelerator->copy(from.data(), to.data(), bytes);
  }
}

HostMirror::HostMirror(Accelerator* accelerator, TensorView buffer, Content content)
    : accelerator_(accelerator), buffer_(buffer) {
  if (buffer_.device() == DeviceKind::kCpu || buffer_.elements() == 0) return;
  own_ = Tensor(buffer.shape());
  if (content == Content::kBuffer) transfer(accelerator_, buffer_, own_);
}

void HostMirror::put_back() {
  if (own_.elements() > 0) transfer(accelerator_, own_, buffer_);
}

}  // namespace troupe
