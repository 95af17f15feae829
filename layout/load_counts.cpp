#include "layout/load_counts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/index.h"

namespace troupe::layout {
namespace {
std::int64_t total(std::span<const std::int64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}
}  // namespace

std::span<std::int64_t> LoadCounts::layer(int index) {
  const auto columns = at(columns_);
  return std::span(counts_).subspan(at(index) * columns, columns);
}

std::span<const std::int64_t> LoadCounts::layer(int index) const {
  const auto columns = at(columns_);
  return std::span(counts_).subspan(at(index) * columns, columns);
}

double max_violation(std::span<const std::int64_t> counts) {
  const std::int64_t sum = total(counts);
  if (sum == 0) return 0.0;
  const double most = static_cast<double>(*std::ranges::max_element(counts));
  return most * static_cast<double>(counts.size()) / static_cast<double>(sum) - 1.0;
}

double load_entropy(std::span<const std::int64_t> counts) {
  const std::int64_t sum = total(counts);
  if (sum == 0 || counts.size() < 2) return 0.0;
  double entropy = 0.0;
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    const double f = static_cast<double>(count) / static_cast<double>(sum);
    entropy -= f * std::log(f);
  }
  return entropy / std::log(static_cast<double>(counts.size()));
}

int dead_experts(std::span<const std::int64_t> counts) {
  if (total(counts) == 0) return 0;
  return static_cast<int>(std::ranges::count(counts, std::int64_t{0}));
}

double load_quantile(std::span<const std::int64_t> counts, double q) {
  const std::int64_t sum = total(counts);
  if (sum == 0) return 0.0;
  std::vector<std::int64_t> sorted(counts.begin(), counts.end());
  std::ranges::sort(sorted);
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto low = at(static_cast<std::int64_t>(place));
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  const double weight = place - static_cast<double>(low);
  const double value =
      static_cast<double>(sorted[low]) * (1.0 - weight) + static_cast<double>(sorted[high]) * weight;
  return value * static_cast<double>(counts.size()) / static_cast<double>(sum);
}

}  // namespace troupe::layout
