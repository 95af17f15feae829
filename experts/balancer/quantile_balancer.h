#pragma once
#include <vector>

#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `quantile`: b_i -= rate * cut_i, then the mean is taken off. cut_i is the margin that one token more than
/// an expert's fair share reaches: the (⌊k tokens / N⌋ + 1)-th largest of its margins (margins.h). With all
/// other biases as they are, b_i - cut_i brings an expert that has too many tokens down to its fair share.
/// One that has too few gains by the others' descent: up to as many tokens as it is the first not chosen for,
/// its cut is 0. Zero-compute experts have no share, so validation refuses them here.
class QuantileBalancer final : public BiasState {
 public:
  explicit QuantileBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  std::int64_t top_k_;
  std::vector<double> moved_;  // [experts]
};

/// The rank-th largest margin, as the middle of its bin; rank 1 is the largest, histogram has that many.
///   histogram: [kMarginBins]
[[nodiscard]] double margin_of_rank(std::span<const std::int64_t> histogram, std::int64_t rank);

}  // namespace troupe::experts
