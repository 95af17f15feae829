#pragma once
#include <cmath>

#include "tensor/ops/adamw/adamw.h"
#include "tensor/ops/reference.h"

namespace troupe::ops::reference {

/// One AdamW update in the order of arXiv 1711.05101, algorithm 2.
template <class T>
void adamw(const AdamWStep& step, std::span<T> value, Vector<T> gradient, std::span<T> first_moment,
           std::span<T> second_moment) {
  const T first_correction = static_cast<T>(1.0 - std::pow(step.beta1, static_cast<double>(step.step)));
  const T second_correction = static_cast<T>(1.0 - std::pow(step.beta2, static_cast<double>(step.step)));
  for (std::size_t i = 0; i < value.size(); ++i) {
    const T g = gradient[i] * static_cast<T>(step.gradient_scale);
    first_moment[i] = static_cast<T>(step.beta1) * first_moment[i] + static_cast<T>(1.0 - step.beta1) * g;
    second_moment[i] =
        static_cast<T>(step.beta2) * second_moment[i] + static_cast<T>(1.0 - step.beta2) * g * g;
    const T mean = first_moment[i] / first_correction;
    const T deviation = std::sqrt(second_moment[i] / second_correction);
    value[i] -= static_cast<T>(step.lr) * (mean / (deviation + static_cast<T>(step.eps)) +
                                           static_cast<T>(step.weight_decay) * value[i]);
  }
}

}  // namespace troupe::ops::reference
