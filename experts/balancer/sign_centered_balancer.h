#pragma once
#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `sign_centered`: the steps of `sign` less their mean, so that the mean bias stays 0.
class SignCenteredBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

}  // namespace troupe::experts
