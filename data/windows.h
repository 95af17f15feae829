#pragma once
#include <cstdint>
#include <vector>

#include "data/token_dataset.h"

namespace troupe::data {

/// A token file as it lies is cut into windows, for evaluation: window w predicts the tokens (w·length,
/// (w+1)·length], each from the token before it. Every token but the first and a tail shorter than a window
/// is predicted by exactly one window.
[[nodiscard]] std::int64_t window_count(const TokenDataset& dataset, std::int64_t length);

struct WindowRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
  bool operator==(const WindowRange&) const = default;
};

/// [domains]: the windows whose first input token belongs to the domain. Together all windows, once.
[[nodiscard]] std::vector<WindowRange> windows_by_domain(const TokenDataset& dataset, std::int64_t length);

/// Which text each sequence number stands for: a pure function of the number.
class SequenceOrder {
 public:
  virtual ~SequenceOrder() = default;
  /// Appends where the tokens of a sequence lie, one more than it predicts, in their order. number ≥ 0.
  virtual void append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const = 0;
};

}  // namespace troupe::data
