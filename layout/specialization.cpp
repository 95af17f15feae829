#include "layout/specialization.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace troupe::layout {
namespace {

double entropy_bits(std::span<const double> shares) {
  double bits = 0.0;
  for (const double share : shares) {
    if (share > 0.0) bits -= share * std::log2(share);
  }
  return bits;
}

/// Shares of each domain with any pair, [domains][experts].
std::vector<std::vector<double>> shares_by_domain(std::span<const std::int64_t> counts, std::size_t experts) {
  std::vector<std::vector<double>> shares;
  for (std::size_t begin = 0; begin < counts.size(); begin += experts) {
    const auto row = counts.subspan(begin, experts);
    const auto pairs = static_cast<double>(std::accumulate(row.begin(), row.end(), std::int64_t{0}));
    if (pairs == 0.0) continue;
    auto& domain = shares.emplace_back();
    for (const std::int64_t count : row) domain.push_back(static_cast<double>(count) / pairs);
  }
  return shares;
}

double mean_distance(const std::vector<std::vector<double>>& shares) {
  double sum = 0.0;
  for (std::size_t a = 0; a < shares.size(); ++a) {
    for (std::size_t b = a + 1; b < shares.size(); ++b) {
      for (std::size_t i = 0; i < shares[a].size(); ++i) sum += std::abs(shares[a][i] - shares[b][i]) / 2.0;
    }
  }
  const auto pairs = static_cast<double>(shares.size() * (shares.size() - 1)) / 2.0;
  return pairs > 0.0 ? sum / pairs : 0.0;
}

}  // namespace

Specialization specialization(std::span<const std::int64_t> counts, std::size_t experts) {
  const auto pairs = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  if (pairs == 0.0) return {};
  std::vector<double> joint;
  std::vector<double> of_domain(counts.size() / experts);
  std::vector<double> of_expert(experts);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    joint.push_back(static_cast<double>(counts[i]) / pairs);
    of_domain[i / experts] += joint.back();
    of_expert[i % experts] += joint.back();
  }
  const double domain_bits = entropy_bits(of_domain);
  const double expert_bits = entropy_bits(of_expert);
  return {.mutual_information = std::max(0.0, domain_bits + expert_bits - entropy_bits(joint)),
          .mutual_information_limit = std::min(domain_bits, expert_bits),
          .domain_distance = mean_distance(shares_by_domain(counts, experts))};
}

}  // namespace troupe::layout
