#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/options.h"
#include "data/windows.h"

namespace troupe::data {

/// The order of training data: global sequence number → window, for ever. The windows are permuted
/// anew for every epoch by random numbers of (seed, kDataOrder), so the order is the same for every
/// layout, and any place in it is reached without walking there. Thread-safe.
///
/// With weights, sequences are dealt to the domains in exact proportion within every 4096 sequences,
/// evenly interleaved; each domain walks through its own epochs. A domain without a weight is left out.
class BatchOrder final : public SequenceOrder {
 public:
  /// weights: domain → weight ≥ 0; empty: every window once per epoch.
  /// Throws kConfig for an unknown domain, a domain without windows, weights that are all zero, or a
  /// dataset shorter than one window.
  BatchOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed,
             const std::map<std::string, double>& weights = {});

  [[nodiscard]] std::int64_t window(std::int64_t number) const override;

 private:
  struct Slot {
    std::int32_t pool;
    std::int32_t rank;  // slots of the same pool before this one
  };

  void weigh_domains(const TokenDataset& dataset, std::int64_t length,
                     const std::map<std::string, double>& weights);

  std::uint64_t seed_;
  std::vector<WindowRange> pools_;        // windows that are drawn from together
  std::vector<std::int32_t> pool_slots_;  // [pools]: slots of the period that a pool has
  std::vector<Slot> period_;
};

/// What decides, besides corpus and seed, which text every sequence of a run is: equal texts, equal order.
[[nodiscard]] std::string order_of(const DataOptions& options);

}  // namespace troupe::data
