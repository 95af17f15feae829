#include "experts/balancer/balancer.h"

#include "base/error.h"
#include "experts/balancer/margins.h"
#include "experts/balancer/no_balancer.h"
#include "experts/balancer/pid_balancer.h"
#include "experts/balancer/proportional_balancer.h"
#include "experts/balancer/quantile_balancer.h"
#include "experts/balancer/sign_balancer.h"
#include "experts/balancer/sign_centered_balancer.h"

namespace troupe::experts {

int margin_bins(const BalancerOptions& options) {
  return options.kind == BalancerKind::kQuantile ? kMarginBins : 0;
}

std::unique_ptr<Balancer> make_balancer(const MoeOptions& options) {
  switch (options.balancer.kind) {
    case BalancerKind::kNone:
      return std::make_unique<NoBalancer>(options.experts);
    case BalancerKind::kSign:
      return std::make_unique<SignBalancer>(options.experts);
    case BalancerKind::kSignCentered:
      return std::make_unique<SignCenteredBalancer>(options.experts);
    case BalancerKind::kProportional:
      if (options.router.zero_experts > 0) return std::make_unique<TargetShareBalancer>(options);
      return std::make_unique<ProportionalBalancer>(options.experts);
    case BalancerKind::kPid:
      return std::make_unique<PidBalancer>(options);
    case BalancerKind::kQuantile:
      return std::make_unique<QuantileBalancer>(options);
  }
  throw Error(ErrorCode::kInternal, "balancer {} does not exist", static_cast<int>(options.balancer.kind));
}

}  // namespace troupe::experts
