#pragma once
#include <cstdint>

#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::layers {

/// Sets elements to 0 with a probability and divides the others by what is left (arXiv 1207.0580), only while
/// training. Which ones is a function of seed, place in the model and global token, so that every layout
/// drops the same, and backward those of forward.
class Dropout {
 public:
  /// place: number of this one in the model
  Dropout(double rate, std::int64_t place) : rate_(rate), place_(static_cast<std::uint32_t>(place)) {}

  [[nodiscard]] bool active(const Pass& pass) const { return rate_ > 0.0 && pass.training; }

  /// x: [tokens, hidden], of the microbatch's tokens, or the gradient of what came out.
  void apply(const Pass& pass, TensorView x) const;

 private:
  double rate_;
  std::uint32_t place_;
};

}  // namespace troupe::layers
