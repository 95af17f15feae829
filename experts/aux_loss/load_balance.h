#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "experts/aux_loss/aux_loss.h"
#include "experts/options.h"

namespace troupe::experts {

/// Shares f_i = c_i / Σc of a batch's routed pairs; uniform when there are none (an empty span too).
///   counts: [choices] or empty; frequencies: [choices], written
void load_frequencies(std::span<const std::int64_t> counts, std::span<double> frequencies);

/// Where a load-balancing loss takes f from: one row for all tokens of the microbatch, or one for each
/// stretch of tokens. A constant of the gradient.
class LoadFrequencies {
 public:
  virtual ~LoadFrequencies() = default;

  /// Tokens that share a row of f.
  [[nodiscard]] virtual std::int64_t stretch(const Pass& pass, std::int64_t tokens) const = 0;

  /// frequencies: [tokens / stretch, choices], written
  virtual void fill(const Pass& pass, const AuxInput& input, std::span<double> frequencies) = 0;
};

[[nodiscard]] std::unique_ptr<LoadFrequencies> make_load_frequencies(const AuxLossOptions& options,
                                                                     std::int64_t top_k,
                                                                     std::int64_t choices);

/// N Σ_i f_i P_i (arXiv 2101.03961 eq. 4), 1 when balanced, times the microbatch's tokens: Σ_t N Σ_i f_i
/// p_ti with p = s / Σs, of the raw scores of all choices. With f by sequence this is the sum over
/// sequences of each one's loss times its tokens.
class LoadBalanceLoss final : public AuxLoss {
 public:
  LoadBalanceLoss(const AuxLossOptions& options, std::int64_t top_k, std::int64_t choices);

 private:
  [[nodiscard]] double value(const Pass& pass, const AuxInput& input) override;
  void add_gradient(const Pass& pass, const AuxInput& input, double factor,
                    const AuxGradients& gradients) const override;
  void backward_on_device(const Pass& pass, ops::DeviceOps& device, const AuxInput& input, double factor,
                          const AuxGradients& gradients, double& sum) override;
  /// Fills stretch_ and frequencies_; false without tokens.
  bool read_frequencies(const Pass& pass, const AuxInput& input);
  /// f of a token's stretch.
  [[nodiscard]] std::span<const double> frequencies_of(std::int64_t token) const;

  std::unique_ptr<LoadFrequencies> source_;
  std::size_t choices_;
  std::int64_t stretch_ = 1;
  std::vector<double> frequencies_;       // [stretches, choices], kept for backward; grows once
  std::vector<double> probability_sums_;  // [choices]
};

}  // namespace troupe::experts
