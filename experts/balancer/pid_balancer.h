#pragma once
#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `pid`: e = (mean(c) - c) / mean(c); I = clip(I + e, ±I_max); b = Kp e + Ki I + Kd (e - e_before). Its
/// gains stand in the place of a rate. State: bias, I, e_before; both are 0 at first.
class PidBalancer final : public BiasState {
 public:
  explicit PidBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  double kp_, ki_, kd_, limit_;
};

}  // namespace troupe::experts
