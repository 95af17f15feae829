#include "experts/balancer/proportional_balancer.h"

namespace troupe::experts {
namespace {

/// Routed experts that a token should have on average; if not given, their share of the choices.
double routed_target(const MoeOptions& options) {
  if (options.balancer.routed_per_token > 0.0) return options.balancer.routed_per_token;
  return static_cast<double>(options.top_k * options.experts) / static_cast<double>(options.choices());
}

}  // namespace

void ProportionalBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  if (pairs == 0) return;
  for (std::size_t i = 0; i < experts(); ++i) {
    const double error = load_error(pairs, experts(), input.counts[i]);
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * error);
  }
}

TargetShareBalancer::TargetShareBalancer(const MoeOptions& options)
    : BiasState(options.experts),
      top_k_(static_cast<double>(options.top_k)),
      target_share_(routed_target(options) / (top_k_ * static_cast<double>(options.experts))) {}

void TargetShareBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  if (input.tokens == 0) return;
  const double all_pairs = top_k_ * static_cast<double>(input.tokens);
  for (std::size_t i = 0; i < experts(); ++i) {
    const double share = static_cast<double>(input.counts[i]) / all_pairs;
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * (target_share_ - share));
  }
}

}  // namespace troupe::experts
