#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <vector>

#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// What the counts of one layer say after one step. Names are those of docs/observability.md.
struct LayerLoadStatistics {
  std::int64_t layer = 0;
  double max_violation_batch = 0.0;   // max(c) / mean(c) − 1
  double max_violation_window = 0.0;  // the same of the counts summed over the last kViolationWindow steps
  double load_entropy = 0.0;          // H(c / Σc) / ln(experts); 1 = even
  std::int64_t dead_experts = 0;      // without a token in the last kDeadWindow steps
  double load_p05 = 0.0;              // quantiles over experts of c / mean(c), linearly interpolated
  double load_p50 = 0.0;
  double load_p95 = 0.0;
  float bias_min = 0.0F;
  float bias_max = 0.0F;
  double router_z = 0.0;
  double drop_ratio = 0.0;          // dropped pairs over pairs routed to experts
  double zero_compute_ratio = 0.0;  // pairs routed to zero-compute experts over all pairs
  double aux_loss_layer = 0.0;      // mean over the auxiliary losses, without coefficients
  bool operator==(const LayerLoadStatistics&) const = default;
};

/// Follows the global-batch counts of every MoE layer. The windows begin where the run began: a resume
/// observes the last steps of the metrics file again. No expert counts as dead before kDeadWindow steps were
/// seen.
class LoadMonitor {
 public:
  static constexpr std::size_t kViolationWindow = 50;
  static constexpr std::int64_t kDeadWindow = 100;

  /// One entry per layer of `loads`, in its order. Steps arrive ascending, each once.
  /// Throws kInternal when a layer's number of experts changes, and kCorrupt when a table of a layer is not
  /// as wide as its counts ask for.
  [[nodiscard]] std::vector<LayerLoadStatistics> observe(std::span<const comm::LayerLoad> loads);

 private:
  struct Layer {
    std::int64_t steps = 0;
    std::deque<std::vector<std::int64_t>> window;  // [≤ kViolationWindow][experts]
    std::vector<std::int64_t> window_sum;          // [experts]
    std::vector<std::int64_t> last_used;           // [experts], in observed steps; 0 = never
  };

  [[nodiscard]] static LayerLoadStatistics observe(Layer& layer, const comm::LayerLoad& load);
  static void remember(Layer& layer, const comm::LayerLoad& load);
  [[nodiscard]] static std::int64_t dead_experts(const Layer& layer);

  std::map<std::int64_t, Layer> layers_;
};

}  // namespace troupe::coordinator
