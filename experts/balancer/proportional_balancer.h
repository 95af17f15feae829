#pragma once
#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `proportional`: b_i += u * (mean(c) - c_i) / mean(c): steps shrink as the load evens out.
class ProportionalBalancer final : public BiasState {
 public:
  using BiasState::BiasState;
  void update(const BalanceInput& input, double rate) override;
};

/// `proportional` beside zero-compute experts, which have no bias (LongCat-Flash, arXiv 2509.01322, 2.1.1):
///   b_i += u * (k_target / (k * N) - c_i / (k * tokens))
/// brings routed experts to k_target choices of a token on average, and to even shares of those.
class TargetShareBalancer final : public BiasState {
 public:
  explicit TargetShareBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  double top_k_;
  double target_share_;  // of all pairs, that an expert should get
};

}  // namespace troupe::experts
