#include "data/batch_order.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "data/permutation.h"

namespace troupe::data {
namespace {

constexpr std::int64_t kPeriod = 4096;  // sequences within which weighted domains are dealt exactly

std::size_t domain_index(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw Error(ErrorCode::kConfig, "data.domains: the corpus has no domain '{}'; it has {}", name,
                fmt::join(names, ", "));
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// [domains] weights that sum to 1.
std::vector<double> normalised_weights(const std::vector<std::string>& names,
                                       const std::map<std::string, double>& weights) {
  std::vector<double> shares(names.size(), 0.0);
  for (const auto& [name, weight] : weights) {
    if (!(weight >= 0.0) || !std::isfinite(weight)) {
      throw Error(ErrorCode::kConfig, "data.domains.{}: a weight is a number of at least 0, not {}", name,
                  weight);
    }
    shares[domain_index(names, name)] = weight;
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(sum > 0.0) || !std::isfinite(sum)) {
    throw Error(ErrorCode::kConfig,
                "data.domains: at least one weight must be above 0, and their sum finite");
  }
  for (double& share : shares) share /= sum;
  return shares;
}

/// Whole slots of the period by largest remainder; a share above 0 has at least one slot.
std::vector<std::int32_t> slots_of(const std::vector<double>& shares) {
  std::vector<std::int32_t> slots(shares.size());
  std::vector<std::size_t> by_remainder(shares.size());
  std::vector<double> remainder(shares.size());
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double exact = shares[i] * static_cast<double>(kPeriod);
    slots[i] = std::max(static_cast<std::int32_t>(exact), 1);
    remainder[i] = exact - slots[i];
    by_remainder[i] = i;
  }
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  const std::int64_t missing = kPeriod - std::accumulate(slots.begin(), slots.end(), std::int64_t{0});
  for (std::int64_t i = 0; i < missing; ++i)
    ++slots[by_remainder[static_cast<std::size_t>(i) % slots.size()]];
  for (std::int64_t i = missing; i < 0; ++i) --*std::max_element(slots.begin(), slots.end());
  return slots;
}

/// The turn of a pool: its k-th of c slots belongs at (2k + 1) / 2c of the period.
struct Turn {
  std::int64_t numerator;
  std::int64_t slots;
  std::int32_t pool;
  std::int32_t rank;
};

std::vector<Turn> interleave(const std::vector<std::int32_t>& pool_slots) {
  std::vector<Turn> turns;
  for (std::size_t pool = 0; pool < pool_slots.size(); ++pool) {
    for (std::int32_t rank = 0; rank < pool_slots[pool]; ++rank) {
      turns.push_back({2 * std::int64_t{rank} + 1, pool_slots[pool], static_cast<std::int32_t>(pool), rank});
    }
  }
  std::stable_sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) {
    return a.numerator * b.slots < b.numerator * a.slots;
  });
  return turns;
}

}  // namespace

BatchOrder::BatchOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed,
                       const std::map<std::string, double>& weights)
    : seed_(seed) {
  const std::int64_t windows = window_count(dataset, length);
  if (windows == 0) {
    throw Error(ErrorCode::kConfig,
                "the training text has {} tokens, less than one sequence of {}: use a smaller "
                "data.sequence_length or a "
                "larger corpus",
                dataset.token_count(), length);
  }
  if (weights.empty()) {
    pools_ = {{0, windows}};
    pool_slots_ = {1};
    period_ = {{0, 0}};
  } else {
    weigh_domains(dataset, length, weights);
  }
}

void BatchOrder::weigh_domains(const TokenDataset& dataset, std::int64_t length,
                               const std::map<std::string, double>& weights) {
  const std::vector<std::string>& names = dataset.header().domain_names;
  const std::vector<double> shares = normalised_weights(names, weights);
  const std::vector<WindowRange> domains = windows_by_domain(dataset, length);
  std::vector<double> pool_shares;
  for (std::size_t domain = 0; domain < domains.size(); ++domain) {
    if (shares[domain] == 0.0) continue;
    if (domains[domain].count == 0) {
      throw Error(ErrorCode::kConfig,
                  "data.domains.{}: the domain has less text than one sequence of {} tokens", names[domain],
                  length);
    }
    pools_.push_back(domains[domain]);
    pool_shares.push_back(shares[domain]);
  }
  pool_slots_ = slots_of(pool_shares);
  for (const Turn& turn : interleave(pool_slots_)) period_.push_back({turn.pool, turn.rank});
}

std::int64_t BatchOrder::window(std::int64_t number) const {
  TROUPE_CHECK(number >= 0, "sequence number {}", number);
  const auto period = static_cast<std::int64_t>(period_.size());
  const Slot slot = period_[static_cast<std::size_t>(number % period)];
  const auto pool_index = static_cast<std::size_t>(slot.pool);
  const std::int64_t drawn = number / period * pool_slots_[pool_index] + slot.rank;
  const WindowRange pool = pools_[pool_index];
  const PermutationKey key{.seed = seed_,
                           .stream = static_cast<std::uint32_t>(drawn / pool.count),
                           .pool = static_cast<std::uint16_t>(slot.pool)};
  return pool.first + permute(key, pool.count, drawn % pool.count);
}

std::string order_of(const DataOptions& options) {
  std::string order =
      fmt::format("sequence_length={} document_mask={}", options.sequence_length, options.document_mask);
  for (const auto& [domain, weight] : options.domains) order += fmt::format(" {}={}", domain, weight);
  return order;
}

}  // namespace troupe::data
