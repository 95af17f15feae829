#pragma once
#include <span>

#include "experts/options.h"

namespace troupe::experts {

[[nodiscard]] float log_sum_exp(std::span<const float> z);

/// s = score(z); lse: log_sum_exp(z). z, s: [choices]
void score_forward(Score score, std::span<const float> z, float lse, std::span<float> s);

/// dz += ds · d(score)/dz
void add_score_gradient(Score score, std::span<const float> s, std::span<const float> ds,
                        std::span<float> dz);

}  // namespace troupe::experts
