#pragma once
#include <cstdint>
#include <span>

#include "tensor/execution.h"
#include "tensor/ops/rope/pairing.h"
#include "tensor/tensor.h"

namespace troupe::ops {

/// cos and sin of position * frequency_i for i < rotary/2: [positions, rotary/2] each.
class RopeTable {
 public:
  /// frequencies: [rotary/2]; cosines and sines are multiplied by `magnitude`. On a device, which must
  /// outlive it, or on the host.
  RopeTable(std::int64_t positions, std::span<const double> frequencies, double magnitude = 1.0,
            RopePairing pairing = RopePairing::kHalves, Accelerator* accelerator = nullptr);
  /// Of frequencies theta^(-2i/rotary). rotary: even number of rotated channels per head; the others pass
  /// unchanged.
  RopeTable(std::int64_t positions, std::int64_t rotary, double theta, Accelerator* accelerator = nullptr);
  [[nodiscard]] std::int64_t rotary() const { return rotary_; }
  [[nodiscard]] RopePairing pairing() const { return pairing_; }
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
  RopePairing pairing_;
  Tensor cosine_;
  Tensor sine_;
};

enum class RopeDirection : bool { kForward, kBackward };

/// Rotary position embedding (arXiv 2104.09864) in place. In the pairing of Hugging Face, kHalves, channel i
/// of the first half of the rotated part is paired with channel i of the second half.
///   x: [tokens, heads * head_dim], rows may be strided; positions: [tokens] i32
/// Backward rotates by the negative angle.
void rope(const Execution& execution, const RopeTable& table, ConstTensorView positions,
          std::int64_t head_dim, RopeDirection direction, TensorView x);

}  // namespace troupe::ops
