#include "experts/aux_loss/aux_loss.h"

#include "base/error.h"
#include "experts/aux_loss/importance.h"
#include "experts/aux_loss/load_balance.h"
#include "experts/aux_loss/orthogonal.h"
#include "experts/aux_loss/smooth_load.h"

namespace troupe::experts {

std::unique_ptr<AuxLoss> make_aux_loss(const MoeOptions& options, const AuxLossOptions& loss) {
  switch (loss.kind) {
    case AuxLossKind::kLoadBalance:
      return std::make_unique<LoadBalanceLoss>(loss, options.top_k, options.choices());
    case AuxLossKind::kImportance:
      return std::make_unique<ImportanceLoss>(options.choices());
    case AuxLossKind::kLoad:
      return std::make_unique<SmoothLoadLoss>(options.top_k, options.choices());
    case AuxLossKind::kOrthogonal:
      return std::make_unique<OrthogonalLoss>();
  }
  throw Error(ErrorCode::kInternal, "an auxiliary loss of an unknown kind");
}

}  // namespace troupe::experts
