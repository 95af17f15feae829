#pragma once
#include <cstdint>

#include "base/random.h"
#include "layers/pass.h"
#include "tensor/tensor.h"

namespace troupe::layers {

/// Sets elements to 0 with a probability and divides the others by what is left (arXiv 1207.0580), only while
/// training. Which ones is a function of seed, place in the model and global token, so that every layout
/// drops the same, and backward those of forward.
class Dropout {
 public:
  /// place: number of this one in the model, among those of its purpose
  Dropout(double rate, std::int64_t place, RandomPurpose purpose = RandomPurpose::kDropout)
      : rate_(rate), place_(static_cast<std::uint32_t>(place)), purpose_(purpose) {}

  [[nodiscard]] bool active(const Pass& pass) const { return rate_ > 0.0 && pass.training; }

  /// x: [rows, width], of the microbatch's tokens from `first` on, or the gradient of what came out.
  void apply(const Pass& pass, TensorView x, std::int64_t first = 0) const {
    apply_numbered(pass, pass.microbatch.first_token + first, x);
  }
  /// The same of rows that have the numbers from `first` on in the run.
  void apply_numbered(const Pass& pass, std::int64_t first, TensorView x) const;

 private:
  double rate_;
  std::uint32_t place_;
  RandomPurpose purpose_;
};

}  // namespace troupe::layers
