#include "experts/aux_loss/load_balance.h"

#include <algorithm>
#include <numeric>

#include "experts/rows.h"

namespace troupe::experts {
namespace {

float sum_of(std::span<const float> values) {
  float sum = 0.0F;
  for (const float value : values) sum += value;
  return sum;
}

}  // namespace

void load_frequencies(std::span<const std::int64_t> counts, std::span<double> frequencies) {
  const std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (total == 0) {
    std::ranges::fill(frequencies, 1.0 / static_cast<double>(frequencies.size()));
    return;
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    frequencies[i] = static_cast<double>(counts[i]) / static_cast<double>(total);
  }
}

double load_balance_loss(std::span<const double> frequencies, std::span<const double> probability_sums) {
  double sum = 0.0;
  for (std::size_t i = 0; i < frequencies.size(); ++i) sum += frequencies[i] * probability_sums[i];
  return static_cast<double>(frequencies.size()) * sum;
}

LoadBalanceLoss::LoadBalanceLoss(const AuxLossOptions& options, std::int64_t choices)
    : options_(options),
      probability_sums_(static_cast<std::size_t>(choices)),
      frequencies_(static_cast<std::size_t>(choices)) {}

double LoadBalanceLoss::forward(const Pass& /*pass*/, const AuxInput& input) {
  const bool actual = options_.f_source == FrequencySource::kActual;
  const std::span<const std::int64_t> previous =
      actual ? input.step.previous_counts : input.step.previous_unbiased_counts;
  const std::span<const std::int64_t> current = actual ? input.load.counts : input.load.unbiased;
  load_frequencies(options_.scope == AuxScope::kMicro ? current : previous, frequencies_);

  std::ranges::fill(probability_sums_, 0.0);
  for (std::int64_t token = 0; token < input.routing.scores.rows(); ++token) {
    const auto s = row(input.routing.scores, token);
    const float sum = sum_of(s);
    for (std::size_t i = 0; i < s.size(); ++i) probability_sums_[i] += s[i] / sum;
  }
  return load_balance_loss(frequencies_, probability_sums_);
}

/// ds += factor · N · d(Σ_i f_i p_i)/ds with p = s / Σs
void LoadBalanceLoss::backward(const Pass& pass, const AuxInput& input, double factor,
                               const AuxGradients& gradients) const {
  const double scale = factor * static_cast<double>(frequencies_.size());
  for_tokens(pass.execution, input.routing.scores.rows(), [&](std::int64_t token, std::int64_t) {
    const auto s = row(input.routing.scores, token);
    const auto ds = row(gradients.dscores, token);
    const float sum = sum_of(s);
    float dot = 0.0F;
    for (std::size_t i = 0; i < s.size(); ++i)
      dot += static_cast<float>(scale * frequencies_[i]) * (s[i] / sum);
    for (std::size_t i = 0; i < s.size(); ++i)
      ds[i] += (static_cast<float>(scale * frequencies_[i]) - dot) / sum;
  });
}

std::unique_ptr<AuxLoss> make_aux_loss(const MoeOptions& options, const AuxLossOptions& loss) {
  return std::make_unique<LoadBalanceLoss>(loss, options.choices());
}

}  // namespace troupe::experts
