#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "experts/aux_loss/aux_loss.h"
#include "experts/options.h"

namespace troupe::experts {

/// Shares f_i = c_i / Σc of a batch's routed pairs; uniform when there are none (an empty span too).
///   counts: [choices] or empty; frequencies: [choices], written
void load_frequencies(std::span<const std::int64_t> counts, std::span<double> frequencies);

/// N Σ_i f_i P_i times the tokens, with P summed instead of averaged; 1 per token when balanced
/// (arXiv 2101.03961 eq. 4).
///   probability_sums: [choices], Σ_t p_ti
[[nodiscard]] double load_balance_loss(std::span<const double> frequencies,
                                       std::span<const double> probability_sums);

/// N Σ_i f_i P_i with f from this microbatch or from the previous global batch, P from this microbatch.
class LoadBalanceLoss final : public AuxLoss {
 public:
  LoadBalanceLoss(const AuxLossOptions& options, std::int64_t choices);

  [[nodiscard]] double forward(const Pass& pass, const AuxInput& input) override;
  void backward(const Pass& pass, const AuxInput& input, double factor,
                const AuxGradients& gradients) const override;

 private:
  AuxLossOptions options_;
  std::vector<double> probability_sums_;  // [choices]
  std::vector<double> frequencies_;       // [choices], kept for backward
};

}  // namespace troupe::experts
