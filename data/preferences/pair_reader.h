#pragma once
#include <cstdint>
#include <span>

#include "data/batch_reader.h"
#include "data/preferences/pair_order.h"

namespace troupe::data {

/// Reads sequences of preference pairs by their number. A half is a document of its own: it begins as a text
/// does when a model writes (with the begin of text, or else the end of text), its positions restart, its
/// attention stays inside, and the targets are what is trained of it. What is left of a sequence is filled
/// with the text of its pairs once more, from the first on, as context without a target, so that whoever
/// counts tokens (a router) sees text and no padding. Not thread-safe. Dataset and order outlive it.
class PairReader final : public BatchReader {
 public:
  PairReader(const TokenDataset& dataset, const PairOrder& order, std::int64_t length)
      : dataset_(dataset), order_(order), length_(length) {
    sequences_.length = length;
  }

  const Sequences& read(std::span<const std::int64_t> numbers) override;
  void prefetch(std::int64_t number) const override;
  /// Pairs of the sequence.
  [[nodiscard]] std::int64_t targets(std::int64_t number) const override {
    return std::ssize(order_.pairs(number));
  }

 private:
  void read_sequence(std::int64_t number, std::int64_t row);
  std::int64_t read_half(std::int64_t document, std::int64_t row, std::int64_t place, bool trained);
  void mark_targets(std::int64_t document, std::int64_t first, std::int64_t lead, std::int64_t count);

  const TokenDataset& dataset_;
  const PairOrder& order_;
  std::int64_t length_;
  Sequences sequences_;
};

}  // namespace troupe::data
