#include "workers/step/loss_window.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

namespace troupe::workers {

void LossWindow::add(double loss) {
  if (full()) losses_.erase(losses_.begin());
  losses_.push_back(loss);
}

void LossWindow::restore(std::span<const double> losses) {
  losses = losses.last(std::min(losses.size(), kSteps));
  losses_.assign(losses.begin(), losses.end());
}

std::string loss_spike(const LossWindow& before, double loss, double sigmas) {
  if (!before.full()) return {};
  const std::span<const double> losses = before.losses();
  const auto count = static_cast<double>(losses.size());
  const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / count;
  const double squares = std::accumulate(losses.begin(), losses.end(), 0.0, [mean](double sum, double one) {
    return sum + (one - mean) * (one - mean);
  });
  const double sigma = std::sqrt(squares / count);
  if (loss - mean <= sigmas * sigma) return {};
  return fmt::format(
      "its loss, {:.4g}, is {:.1f} standard deviations above the mean, {:.4g}, of the last {} steps", loss,
      (loss - mean) / sigma, mean, losses.size());
}

}  // namespace troupe::workers
