#include "experts/aux_loss.h"

#include <algorithm>
#include <numeric>

namespace troupe::experts {

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

}  // namespace troupe::experts
