#pragma once
#include <cstdint>

#include "tensor/execution.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// cos and sin of position * theta^(-2i/rotary) for i < rotary/2: [positions, rotary/2] each.
class RopeTable {
 public:
  /// rotary: even number of rotated channels per head; the others pass unchanged. On a device, which must
  /// outlive it, or on the host.
  RopeTable(std::int64_t positions, std::int64_t rotary, double theta, Accelerator* accelerator = nullptr);
  [[nodiscard]] std::int64_t rotary() const { return rotary_; }
  [[nodiscard]] std::int64_t positions() const { return cosine_.shape()[0]; }
  [[nodiscard]] ConstTensorView cosines() const { return cosine_; }
  [[nodiscard]] ConstTensorView sines() const { return sine_; }
  [[nodiscard]] const float* cosine(std::int64_t position) const {
    return cosine_.f32() + position * (rotary_ / 2);
  }
  [[nodiscard]] const float* sine(std::int64_t position) const {
    return sine_.f32() + position * (rotary_ / 2);
  }

 private:
  std::int64_t rotary_;
  Tensor cosine_;
  Tensor sine_;
};

enum class RopeDirection : bool { kForward, kBackward };

/// Rotary position embedding (arXiv 2104.09864) in place, in the "half" pairing of Hugging Face:
/// channel i of the first half is paired with channel i of the second half of the rotated part.
///   x: [tokens, heads * head_dim], rows may be strided; positions: [tokens] i32
/// Backward rotates by the negative angle.
void rope(const Execution& execution, const RopeTable& table, ConstTensorView positions,
          std::int64_t head_dim, RopeDirection direction, TensorView x);

}  // namespace troupe::ops
