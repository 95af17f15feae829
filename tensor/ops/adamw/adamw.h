#pragma once
#include <cstdint>
#include <span>

#include "tensor/execution.h"

namespace troupe::ops {

struct AdamWStep {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double weight_decay;   // decoupled; already 0 where none applies
  std::int64_t step;     // 1 for the first update, for bias correction
  float gradient_scale;  // clipping factor, applied to the gradient first
};

/// AdamW (arXiv 1711.05101): value, first and second moment in place; one pass over memory. What leaves the
/// range of float stops at its end: finite input gives finite output, as long as eps is not 0.
void adamw(const Execution& execution, const AdamWStep& step, std::span<float> value,
           std::span<const float> gradient, std::span<float> first_moment, std::span<float> second_moment);

}  // namespace troupe::ops
