#pragma once
#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `sign`: b_i += u * sign(mean(c) - c_i) (arXiv 2408.15664, Algorithm 1; DeepSeek-V3, 2412.19437). The
/// signs need not cancel, so the mean bias drifts; selection does not see that.
class SignBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

}  // namespace troupe::experts
