#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/index.h"

namespace troupe::layout {

/// Tokens routed to each expert of each MoE layer over a global batch, before drops: the one truth
/// about load, read by balancer, losses, dashboard and checkpoints. Row-major [layers, columns]; a column
/// is a routed expert, then come the zero-compute experts.
class LoadCounts {
 public:
  LoadCounts() = default;
  LoadCounts(int layers, int columns)
      : layers_(layers), columns_(columns), counts_(at(layers) * at(columns)) {}

  [[nodiscard]] int layers() const { return layers_; }
  [[nodiscard]] int columns() const { return columns_; }
  [[nodiscard]] std::span<std::int64_t> layer(int index);
  [[nodiscard]] std::span<const std::int64_t> layer(int index) const;
  [[nodiscard]] std::span<std::int64_t> all() { return counts_; }
  [[nodiscard]] std::span<const std::int64_t> all() const { return counts_; }
  bool operator==(const LoadCounts&) const = default;

 private:
  int layers_ = 0;
  int columns_ = 0;
  std::vector<std::int64_t> counts_;
};

// Formulas on the counts of one layer (docs/observability.md). All are 0 for an empty or all-zero layer.

/// max(c) / mean(c) - 1: 0 when balanced (arXiv 2408.15664).
[[nodiscard]] double max_violation(std::span<const std::int64_t> counts);
/// H(f) / ln N with f = c / Σc: 1 when balanced.
[[nodiscard]] double load_entropy(std::span<const std::int64_t> counts);
/// Experts without a token.
[[nodiscard]] int dead_experts(std::span<const std::int64_t> counts);
/// Quantile q of c / mean(c), by linear interpolation between order statistics.
[[nodiscard]] double load_quantile(std::span<const std::int64_t> counts, double q);

}  // namespace troupe::layout
