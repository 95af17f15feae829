#include "workers/token_choice.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/index.h"

namespace troupe::workers {
namespace {

/// The most likely tokens in their order, at most `count`; 0: all.
std::vector<std::int32_t> most_likely(std::span<const float> logits, std::int64_t count) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const std::int64_t kept = count == 0 ? std::ssize(order) : std::min(count, std::ssize(order));
  std::ranges::partial_sort(order, order.begin() + kept, [&](std::int32_t a, std::int32_t b) {
    return logits[at(a)] != logits[at(b)] ? logits[at(a)] > logits[at(b)] : a < b;
  });
  order.resize(at(kept));
  return order;
}

/// How many of the weights, which descend, top_p and min_p leave; at least one.
std::size_t kept_of(std::span<const double> weights, const SamplingRule& rule) {
  const double enough = rule.top_p * std::accumulate(weights.begin(), weights.end(), 0.0);
  const double least = rule.min_p * weights.front();
  double total = 0.0;
  std::size_t kept = 0;
  while (kept < weights.size() &&
         (kept == 0 || (weights[kept] >= least && (rule.top_p >= 1.0 || total < enough))))
    total += weights[kept++];
  return kept;
}

}  // namespace

std::int32_t choose_token(std::span<const float> logits, const SamplingRule& rule, double uniform) {
  if (rule.temperature <= 0.0)
    return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
  const std::vector<std::int32_t> order = most_likely(logits, rule.top_k);
  const double most = logits[at(order.front())];
  std::vector<double> weights;
  for (const std::int32_t id : order) weights.push_back(std::exp((logits[at(id)] - most) / rule.temperature));
  weights.resize(kept_of(weights, rule));
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  const auto chosen = std::ranges::upper_bound(weights, uniform * weights.back()) - weights.begin();
  return order[std::min(at(chosen), weights.size() - 1)];
}

double log_probability(std::span<const float> logits, std::int32_t token) {
  const double most = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - most);
  return logits[at(token)] - most - std::log(sum);
}

}  // namespace troupe::workers
