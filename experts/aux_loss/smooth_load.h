#pragma once
#include <vector>

#include "experts/aux_loss/aux_loss.h"

namespace troupe::experts {

/// CV² of each choice's expected load, times the microbatch's tokens (arXiv 1701.06538 appendix A):
/// load_i = Σ_t P(x, i), P(x, i) = Φ((z_i − kth_excluding(H, k, i)) / softplus(W_noise x)_i), the chance
/// that i is among the k best when its noise alone is drawn again. Needs noisy_top_k. The gradient goes to
/// z, to the noise's deviation, and through the threshold to H.
class SmoothLoadLoss final : public AuxLoss {
 public:
  SmoothLoadLoss(std::int64_t top_k, std::int64_t choices);

  [[nodiscard]] std::int64_t memory(const RouterShape& shape) const override;

 private:
  [[nodiscard]] double value(const Pass& pass, const AuxInput& input) override;
  void add_gradient(const Pass& pass, const AuxInput& input, double factor,
                    const AuxGradients& gradients) const override;
  /// Allocates and fills [tokens, top_k + 1] i32: the best of H, best first.
  [[nodiscard]] TensorView best_of(const Pass& pass, const RoutingResult& routing) const;

  std::int64_t top_k_;
  std::vector<double> load_;      // [choices]
  std::vector<double> gradient_;  // [choices], of CV² by load, kept for backward
};

}  // namespace troupe::experts
