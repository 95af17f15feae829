#pragma once
#include <vector>

#include "experts/balancer/bias_state.h"

namespace troupe::experts {

/// `quantile`: b_i -= rate * cut_i, where cut_i is the margin that one token more than an expert's fair
/// share reaches: the (⌊k tokens / N⌋ + 1)-th largest of its margins (margins.h). With all other biases as
/// they are, b_i - cut_i gives the expert its fair share exactly. Then the mean is taken off, unless there
/// are zero-compute experts: these have no bias, so the level of the others matters, and an expert's fair
/// share is k_target tokens / N.
class QuantileBalancer final : public BiasState {
 public:
  explicit QuantileBalancer(const MoeOptions& options);
  void update(const BalanceInput& input, double rate) override;

 private:
  [[nodiscard]] std::int64_t fair_share(std::int64_t tokens) const;

  MoeOptions options_;
  std::vector<double> moved_;  // [experts]
};

/// The rank-th largest margin, as the middle of its bin; rank 1 is the largest, histogram has that many.
///   histogram: [kMarginBins]
[[nodiscard]] double margin_of_rank(std::span<const std::int64_t> histogram, std::int64_t rank);

}  // namespace troupe::experts
