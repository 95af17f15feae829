#pragma once
#include "experts/aux_loss/aux_loss.h"

namespace troupe::experts {

/// mean((Ŵ Ŵᵀ − I)²) over the [choices, choices] entries, Ŵ = rows of the router's matrix divided by their
/// norms (ERNIE 4.5), times the microbatch's tokens: 0 when the rows are orthogonal.
class OrthogonalLoss final : public AuxLoss {
 public:
  [[nodiscard]] std::int64_t memory(const RouterShape& shape) const override {
    return shape.choices * (2 * shape.hidden_size + shape.choices);
  }

 private:
  [[nodiscard]] double value(const Pass& pass, const AuxInput& input) override;
  void add_gradient(const Pass& pass, const AuxInput& input, double factor,
                    const AuxGradients& gradients) const override;
};

}  // namespace troupe::experts
