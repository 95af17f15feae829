#include "experts/aux_loss/aux_loss.h"

#include "base/error.h"
#include "experts/aux_loss/importance.h"
#include "experts/aux_loss/load_balance.h"
#include "experts/aux_loss/orthogonal.h"
#include "experts/aux_loss/smooth_load.h"

namespace troupe::experts {

void AuxLoss::backward_on_device(const Pass& /*pass*/, ops::DeviceOps& /*device*/, const AuxInput& /*input*/,
                                 double /*factor*/, const AuxGradients& /*gradients*/, double& /*sum*/) {
  throw Error(ErrorCode::kInternal, "an auxiliary loss that is not computed on a device");
}

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
