#include "experts/router/score.h"

#include <algorithm>
#include <cmath>

namespace troupe::experts {
namespace {

void softmax(std::span<const float> z, float lse, std::span<float> s) {
  for (std::size_t i = 0; i < z.size(); ++i) s[i] = std::exp(z[i] - lse);
}

void add_softmax_gradient(std::span<const float> s, std::span<const float> ds, std::span<float> dz) {
  float dot = 0.0F;
  for (std::size_t i = 0; i < s.size(); ++i) dot += ds[i] * s[i];
  for (std::size_t i = 0; i < s.size(); ++i) dz[i] += s[i] * (ds[i] - dot);
}

void sigmoid(std::span<const float> z, float /*lse*/, std::span<float> s) {
  for (std::size_t i = 0; i < z.size(); ++i) s[i] = 1.0F / (1.0F + std::exp(-z[i]));
}

void add_sigmoid_gradient(std::span<const float> s, std::span<const float> ds, std::span<float> dz) {
  for (std::size_t i = 0; i < s.size(); ++i) dz[i] += ds[i] * (s[i] * (1.0F - s[i]));
}

void sqrt_softplus(std::span<const float> z, float /*lse*/, std::span<float> s) {
  for (std::size_t i = 0; i < z.size(); ++i) s[i] = std::sqrt(softplus(z[i]));
}

/// ds/dz = σ(z) / 2s, and σ(z) = 1 - exp(-softplus(z)) = 1 - exp(-s²)
void add_sqrt_softplus_gradient(std::span<const float> s, std::span<const float> ds, std::span<float> dz) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != 0.0F) dz[i] += ds[i] * (-std::expm1(-s[i] * s[i]) / (2.0F * s[i]));
  }
}

}  // namespace

float log_sum_exp(std::span<const float> z) {
  const float largest = *std::ranges::max_element(z);
  float sum = 0.0F;
  for (const float value : z) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

float softplus(float x) { return std::max(x, 0.0F) + std::log1p(std::exp(-std::abs(x))); }

ScoreFunction score_function(Score score) {
  switch (score) {
    case Score::kSoftmax:
      return {softmax, add_softmax_gradient};
    case Score::kSigmoid:
      return {sigmoid, add_sigmoid_gradient};
    case Score::kSqrtSoftplus:
      break;
  }
  return {sqrt_softplus, add_sqrt_softplus_gradient};
}

}  // namespace troupe::experts
