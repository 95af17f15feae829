#include "experts/balancer/balancer.h"

#include "base/error.h"
#include "experts/balancer/margins.h"

namespace troupe::experts {

int margin_bins(const BalancerOptions& options) {
  return options.kind == BalancerKind::kQuantile ? kMarginBins : 0;
}

std::unique_ptr<Balancer> make_balancer(const MoeOptions& options) {
  switch (options.balancer.kind) {
    case BalancerKind::kNone:
      return make_no_balancer(options);
    case BalancerKind::kSign:
      return make_sign_balancer(options);
    case BalancerKind::kSignCentered:
      return make_sign_centered_balancer(options);
    case BalancerKind::kProportional:
      return make_proportional_balancer(options);
    case BalancerKind::kPid:
      return make_pid_balancer(options);
    case BalancerKind::kQuantile:
      return make_quantile_balancer(options);
  }
  throw Error(ErrorCode::kInternal, "balancer {} does not exist", static_cast<int>(options.balancer.kind));
}

}  // namespace troupe::experts
