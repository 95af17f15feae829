#include "experts/aux_loss/smooth_load.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/index.h"
#include "experts/aux_loss/squared_variation.h"
#include "experts/router/top_k.h"
#include "experts/rows.h"

namespace troupe::experts {
namespace {

constexpr double kSmallestDeviation = 1e-10;  // softplus may underflow to 0

/// One choice of a token against what it has to exceed.
struct Margin {
  std::size_t threshold;  // whose H is the k-th largest without this choice
  double deviation;
  double distance;  // in deviations
};

/// best: [k + 1], of the token's H
Margin margin_of(const RoutingResult& routing, std::int64_t token, std::span<const std::int32_t> best,
                 std::size_t choice) {
  const auto k = best.size() - 1;
  const auto chosen = best.first(k);
  const bool in_front = std::ranges::find(chosen, static_cast<std::int32_t>(choice)) != chosen.end();
  const auto threshold = at(in_front ? best[k] : best[k - 1]);
  const double deviation = std::max<double>(row(routing.noise_std, token)[choice], kSmallestDeviation);
  const double excess = static_cast<double>(row(routing.clean_logits, token)[choice]) -
                        static_cast<double>(row(routing.logits, token)[threshold]);
  return {threshold, deviation, excess / deviation};
}

double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double normal_density(double x) {
  return std::exp(-0.5 * x * x) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
}

}  // namespace

SmoothLoadLoss::SmoothLoadLoss(std::int64_t top_k, std::int64_t choices)
    : top_k_(top_k), load_(at(choices)), gradient_(at(choices)) {}

std::int64_t SmoothLoadLoss::memory(const RouterShape& shape) const {
  return (shape.tokens + token_blocks(shape.tokens)) * (top_k_ + 1);
}

TensorView SmoothLoadLoss::best_of(const Pass& pass, const RoutingResult& routing) const {
  const std::int64_t tokens = routing.logits.rows();
  const TensorView best = pass.arena.allocate({tokens, top_k_ + 1}, DType::kI32);
  const TensorView scratch = pass.arena.allocate({token_blocks(tokens), top_k_ + 1});
  for_tokens(pass.execution, tokens, [&](std::int64_t token, std::int64_t block) {
    top_k(row(routing.logits, token), ids(best, token), row(scratch, block));
  });
  return best;
}

double SmoothLoadLoss::value(const Pass& pass, const AuxInput& input) {
  const ArenaScope scope(pass.arena);
  std::ranges::fill(load_, 0.0);
  if (top_k_ == std::ssize(load_)) {  // every choice always has every token
    std::ranges::fill(gradient_, 0.0);
    return 0.0;
  }
  const RoutingResult& routing = input.routing;
  const TensorView best = best_of(pass, routing);
  for (std::int64_t token = 0; token < routing.logits.rows(); ++token) {
    for (std::size_t i = 0; i < load_.size(); ++i)
      load_[i] += normal_distribution(margin_of(routing, token, ids(best, token), i).distance);
  }
  squared_variation_gradient(load_, gradient_);
  return static_cast<double>(routing.logits.rows()) * squared_variation(load_);
}

void SmoothLoadLoss::add_gradient(const Pass& pass, const AuxInput& input, double factor,
                                  const AuxGradients& gradients) const {
  if (top_k_ == std::ssize(load_)) return;
  const ArenaScope scope(pass.arena);
  const RoutingResult& routing = input.routing;
  const TensorView best = best_of(pass, routing);
  const double scale = factor * static_cast<double>(routing.logits.rows());
  for_tokens(pass.execution, routing.logits.rows(), [&](std::int64_t token, std::int64_t) {
    const auto dclean = row(gradients.dclean_logits, token);
    const auto dnoisy = row(gradients.dlogits, token);
    const auto ddeviation = row(gradients.dnoise_std, token);
    for (std::size_t i = 0; i < gradient_.size(); ++i) {
      const Margin margin = margin_of(routing, token, ids(best, token), i);
      const double slope = scale * gradient_[i] * normal_density(margin.distance) / margin.deviation;
      dclean[i] += static_cast<float>(slope);
      dnoisy[margin.threshold] -= static_cast<float>(slope);
      ddeviation[i] -= static_cast<float>(slope * margin.distance);
    }
  });
}

}  // namespace troupe::experts
