#pragma once
#include <span>
#include <vector>

#include "base/index.h"

namespace troupe::layout {

/// Which position of an expert group holds which expert of one MoE layer. Pure data; never changes a bit of
/// the result.
class LayerPlacement {
 public:
  /// position_of: [experts]. Throws kConfig when a position is not in [0, positions).
  LayerPlacement(int positions, std::vector<int> position_of);
  /// Position p holds the experts [begin[p], begin[p + 1]). begin: [positions + 1], ascending from 0
  [[nodiscard]] static LayerPlacement ranges(const std::vector<int>& begin);
  /// Consecutive experts, ⌈N/P⌉ on the first positions and ⌊N/P⌋ on the others.
  [[nodiscard]] static LayerPlacement contiguous(int experts, int positions);

  [[nodiscard]] int positions() const { return static_cast<int>(begin_.size()) - 1; }
  [[nodiscard]] int experts() const { return static_cast<int>(position_of_.size()); }
  [[nodiscard]] int position(int expert) const { return position_of_[at(expert)]; }
  /// Global ids, ascending.
  [[nodiscard]] std::span<const int> experts_at(int position) const;
  /// [experts], ordered by (position, id): the order in which rows travel.
  [[nodiscard]] std::span<const int> order() const { return order_; }
  bool operator==(const LayerPlacement&) const = default;

 private:
  std::vector<int> position_of_;  // [experts]
  std::vector<int> order_;        // [experts]
  std::vector<int> begin_;        // [positions + 1], of each position's experts in order_
};

/// Of a model: [MoE layers].
using Placement = std::vector<LayerPlacement>;

}  // namespace troupe::layout
