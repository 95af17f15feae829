#pragma once
#include <vector>

#include "experts/aux_loss/aux_loss.h"

namespace troupe::experts {

/// CV(Σ_t G)² of the gate weights that a microbatch gives each choice, before drops (arXiv 1701.06538
/// §4), times the microbatch's tokens.
class ImportanceLoss final : public AuxLoss {
 public:
  explicit ImportanceLoss(std::int64_t choices);

 private:
  [[nodiscard]] double value(const Pass& pass, const AuxInput& input) override;
  void add_gradient(const Pass& pass, const AuxInput& input, double factor,
                    const AuxGradients& gradients) const override;
  std::vector<double> gradient_;    // [choices], of CV² by importance, kept for backward
  std::vector<double> importance_;  // [choices]
};

}  // namespace troupe::experts
