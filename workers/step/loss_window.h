#pragma once
#include <span>
#include <string>
#include <vector>

namespace troupe::workers {

/// Losses of the last steps that changed the weights: what a loss spike stands out from. State that crosses
/// steps, the same on every worker.
class LossWindow {
 public:
  static constexpr std::size_t kSteps = 128;

  void add(double loss);
  /// Oldest first, at most kSteps.
  [[nodiscard]] std::span<const double> losses() const { return losses_; }
  [[nodiscard]] bool full() const { return losses_.size() == kSteps; }
  /// As losses() was; of more, the newest count.
  void restore(std::span<const double> losses);

 private:
  std::vector<double> losses_;
};

/// Says how far `loss` is above the losses before it when that is more than `sigmas` standard deviations;
/// empty: it is not, or fewer than LossWindow::kSteps are known.
[[nodiscard]] std::string loss_spike(const LossWindow& before, double loss, double sigmas);

}  // namespace troupe::workers
