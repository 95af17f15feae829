#include "experts/balancer/no_balancer.h"

namespace troupe::experts {

void NoBalancer::update(const BalanceInput& input, double /*rate*/) { check_size(input); }

}  // namespace troupe::experts
