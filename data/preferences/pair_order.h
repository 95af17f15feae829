#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/token_dataset.h"

namespace troupe::data {

/// The order of preference pairs: global sequence number → the pairs that it holds, for ever. Both halves of
/// a pair are in one sequence. Pairs are packed once, each into the first sequence that still has room for
/// it; every epoch has all of these sequences, in an order of its own, which random numbers of (seed,
/// kDataOrder) decide. Immutable; the dataset outlives it.
class PairOrder {
 public:
  /// Throws kConfig when no pair fits into a sequence of `length`, or the file has no pairs.
  PairOrder(const TokenDataset& dataset, std::int64_t length, std::uint64_t seed);

  /// Of an epoch.
  [[nodiscard]] std::int64_t sequences() const { return std::ssize(begins_) - 1; }
  /// Numbers of the pairs in sequence `number` ≥ 0, as they lie there; at least one.
  [[nodiscard]] std::span<const std::int64_t> pairs(std::int64_t number) const;

  /// Of the file, and how many of them are longer than a sequence, and left out.
  [[nodiscard]] std::int64_t pair_count() const { return pair_count_; }
  [[nodiscard]] std::int64_t left_out() const { return pair_count_ - std::ssize(pairs_); }

 private:
  void pack(const TokenDataset& dataset, std::int64_t length);

  std::uint64_t seed_;
  std::int64_t pair_count_;
  std::vector<std::int64_t> pairs_;   // of all sequences, one after the other
  std::vector<std::int64_t> begins_;  // [sequences + 1], in pairs_
};

/// Tokens that half a pair takes in a sequence: its document, after what a text begins with.
[[nodiscard]] std::int64_t half_tokens(const TokenDataset& dataset, std::int64_t document);

}  // namespace troupe::data
