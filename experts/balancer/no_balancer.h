#pragma once
#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `none`: the bias stays 0.
class NoBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

}  // namespace troupe::experts
