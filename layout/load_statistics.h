#pragma once
#include <cstdint>
#include <span>

#include "layout/load_counts.h"

namespace troupe::layout {

/// What is tallied besides the counts; a part that is not asked for has no columns.
struct LoadShape {
  int layers = 0;              // with experts
  int choices = 0;             // columns of the counts: routed experts, then zero-compute ones
  int experts = 0;             // routed
  bool capacity = false;       // count dropped pairs
  int margin_bins = 0;         // of the quantile balancer's histograms
  int domains = 0;             // of the corpus
  bool co_activation = false;  // count pairs of experts
};

/// Integers of one layer: views into LoadStatistics.
struct LayerStatistics {
  std::span<std::int64_t> counts;         // [choices], (token, slot) pairs, before any drop
  std::span<std::int64_t> unbiased;       // [choices], by selection without bias; zero unless asked for
  std::span<std::int64_t> dropped;        // [experts] or empty
  std::span<std::int64_t> margins;        // [experts * bins] or empty
  std::span<std::int64_t> domains;        // [domains * choices] or empty: counts by the token's domain
  std::span<std::int64_t> co_activation;  // [experts * experts] or empty: tokens that chose both, i < j
};

/// Every integer about load, of a microbatch or of a global batch: summed over microbatches by the
/// step's one integer all-reduce, so exact in any order. Row-major tables, one row per MoE layer.
struct LoadStatistics {
  LoadStatistics() = default;
  explicit LoadStatistics(const LoadShape& shape);

  LoadCounts counts, unbiased, dropped, margins, domains, co_activation;

  [[nodiscard]] LayerStatistics layer(int index);
  void clear();
  /// Integers of all tables together, in the order above.
  [[nodiscard]] std::int64_t size() const;
  /// words: [size()]
  void add_to(std::span<std::int64_t> words) const;
  void assign(std::span<const std::int64_t> words);
  bool operator==(const LoadStatistics&) const = default;
};

}  // namespace troupe::layout
