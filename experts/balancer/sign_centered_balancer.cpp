#include "experts/balancer/sign_centered_balancer.h"

namespace troupe::experts {

void SignCenteredBalancer::update(const BalanceInput& input, double rate) {
  check_size(input);
  const std::int64_t pairs = routed_pairs(input);
  std::int64_t signs = 0;
  for (const std::int64_t count : input.counts) signs += load_sign(pairs, experts(), count);
  const double mean = static_cast<double>(signs) / static_cast<double>(experts());
  for (std::size_t i = 0; i < experts(); ++i) {
    const double sign = load_sign(pairs, experts(), input.counts[i]);
    row(0)[i] = static_cast<float>(static_cast<double>(row(0)[i]) + rate * (sign - mean));
  }
}

}  // namespace troupe::experts
