#include "experts/balancer/sign_balancer.h"

namespace troupe::experts {

void SignBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  const auto step = static_cast<float>(rate);
  const auto bias = row(0);
  for (std::size_t i = 0; i < experts(); ++i) {
    const int sign = load_sign(pairs, experts(), input.counts[i]);
    if (sign > 0) bias[i] += step;
    if (sign < 0) bias[i] -= step;
  }
}

}  // namespace troupe::experts
