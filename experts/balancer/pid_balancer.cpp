#include "experts/balancer/pid_balancer.h"

#include <algorithm>

namespace troupe::experts {

PidBalancer::PidBalancer(const MoeOptions& options)
    : BiasState(options.experts, 3),
      kp_(options.balancer.kp),
      ki_(options.balancer.ki),
      kd_(options.balancer.kd),
      limit_(options.balancer.integral_limit) {}

void PidBalancer::update(const BalanceInput& input, double /*rate*/) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  if (pairs == 0) return;
  const auto bias = row(0);
  const auto integral = row(1);
  const auto error_before = row(2);
  for (std::size_t i = 0; i < experts(); ++i) {
    const double error = load_error(pairs, experts(), input.counts[i]);
    const double sum = std::clamp(static_cast<double>(integral[i]) + error, -limit_, limit_);
    const double change = error - static_cast<double>(error_before[i]);
    bias[i] = static_cast<float>(kp_ * error + ki_ * sum + kd_ * change);
    integral[i] = static_cast<float>(sum);
    error_before[i] = static_cast<float>(error);
  }
}

}  // namespace troupe::experts
