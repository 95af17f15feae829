#include "experts/router/score.h"

#include <algorithm>
#include <cmath>

namespace troupe::experts {

float log_sum_exp(std::span<const float> z) {
  const float largest = *std::ranges::max_element(z);
  float sum = 0.0F;
  for (const float value : z) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

void score_forward(Score score, std::span<const float> z, float lse, std::span<float> s) {
  for (std::size_t i = 0; i < z.size(); ++i) {
    s[i] = score == Score::kSigmoid ? 1.0F / (1.0F + std::exp(-z[i])) : std::exp(z[i] - lse);
  }
}

void add_score_gradient(Score score, std::span<const float> s, std::span<const float> ds,
                        std::span<float> dz) {
  if (score == Score::kSigmoid) {
    for (std::size_t i = 0; i < s.size(); ++i) dz[i] += ds[i] * (s[i] * (1.0F - s[i]));
    return;
  }
  float dot = 0.0F;
  for (std::size_t i = 0; i < s.size(); ++i) dot += ds[i] * s[i];
  for (std::size_t i = 0; i < s.size(); ++i) dz[i] += s[i] * (ds[i] - dot);
}

}  // namespace troupe::experts
