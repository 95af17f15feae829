#pragma once
#include <cstdint>
#include <vector>

#include "data/windows.h"

namespace troupe::data {

/// The evaluation set: up to `sequences` held-out windows, one domain after the other in turn as long
/// as each has windows left, chosen without a seed, so that all runs on a corpus are measured on the
/// same text, and a smaller set is the beginning of a larger one. Thread-safe.
class EvaluationOrder final : public SequenceOrder {
 public:
  /// Fewer windows than asked for: all of them, and a warning in the log. None at all: kConfig.
  EvaluationOrder(const TokenDataset& heldout, std::int64_t length, std::int64_t sequences);

  /// How many there are: ≤ the number asked for.
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(windows_.size()); }
  /// 0 ≤ number < size().
  [[nodiscard]] std::int64_t window(std::int64_t number) const;
  void append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const override;

 private:
  std::int64_t length_;
  std::vector<std::int64_t> windows_;
};

}  // namespace troupe::data
