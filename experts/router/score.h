#pragma once
#include <span>

#include "experts/options.h"

namespace troupe::experts {

[[nodiscard]] float log_sum_exp(std::span<const float> z);

/// log(1 + e^x), without overflow
[[nodiscard]] float softplus(float x);

/// s = score(z) of one token, as functions of a row of choices.
struct ScoreFunction {
  /// lse: log_sum_exp(z). z, s: [choices]
  void (*forward)(std::span<const float> z, float lse, std::span<float> s);
  /// dz += ds · d(score)/dz. s, ds, dz: [choices]
  void (*add_gradient)(std::span<const float> s, std::span<const float> ds, std::span<float> dz);
};

/// softmax; sigmoid (arXiv 2412.19437); sqrt_softplus: √softplus(z)
[[nodiscard]] ScoreFunction score_function(Score score);

}  // namespace troupe::experts
