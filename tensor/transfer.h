#pragma once
#include "tensor/accelerator.h"
#include "tensor/tensor.h"

namespace troupe {

/// to = from, both contiguous, of one type and as many elements, each on the host or on the accelerator's
/// device. Waits when it goes to the host. accelerator: null where both are on the host
void transfer(Accelerator* accelerator, ConstTensorView from, TensorView to);

/// A flat f32 buffer as the host sees it: itself where it is there, else a copy.
class HostMirror {
 public:
  enum class Content : bool { kZero, kBuffer };  // of a copy at first
  HostMirror(Accelerator* accelerator, TensorView buffer, Content content);

  [[nodiscard]] std::span<float> values() { return own_.elements() > 0 ? own_.floats() : buffer_.floats(); }
  /// Puts the values of a copy into the buffer.
  void put_back();

 private:
  Accelerator* accelerator_;
  TensorView buffer_;
  Tensor own_ = Tensor(Shape{0});
};

/// Some values of another type to the beginning of a device's memory, which is large enough.
template <class T>
void upload(Accelerator& accelerator, std::span<const T> values, TensorView to) {
  accelerator.upload(std::as_bytes(values), to.data());
}

}  // namespace troupe
