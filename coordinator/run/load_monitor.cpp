#include "coordinator/run/load_monitor.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "layout/load_counts.h"

namespace troupe::coordinator {
namespace {

void add(std::vector<std::int64_t>& sum, std::span<const std::int64_t> counts, std::int64_t sign) {
  for (std::size_t expert = 0; expert < sum.size(); ++expert) sum[expert] += sign * counts[expert];
}

double sum(std::span<const std::int64_t> values) {
  return static_cast<double>(std::accumulate(values.begin(), values.end(), std::int64_t{0}));
}

double ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

void check_tables(const comm::LayerLoad& load) {
  const std::size_t experts = load.counts.size();
  const bool sound = experts > 0 && (load.bias.empty() || load.bias.size() == experts) &&
                     (load.dropped.empty() || load.dropped.size() == experts) &&
                     load.domains.size() % experts == 0 &&
                     (load.co_activation.empty() || load.co_activation.size() == experts * experts);
  if (sound) return;
  throw Error(
      ErrorCode::kCorrupt,
      "layer {}: a worker reports tables of {} biases, {} drops, {} domain counts and {} pairs for {} "
      "experts",
      load.layer, load.bias.size(), load.dropped.size(), load.domains.size(), load.co_activation.size(),
      experts);
}

}  // namespace

std::vector<LayerLoadStatistics> LoadMonitor::observe(std::span<const comm::LayerLoad> loads) {
  std::vector<LayerLoadStatistics> statistics;
  statistics.reserve(loads.size());
  for (const comm::LayerLoad& load : loads) statistics.push_back(observe(layers_[load.layer], load));
  return statistics;
}

LayerLoadStatistics LoadMonitor::observe(Layer& layer, const comm::LayerLoad& load) {
  check_tables(load);
  remember(layer, load);
  LayerLoadStatistics result;
  result.layer = load.layer;
  result.max_violation_batch = layout::max_violation(load.counts);
  result.max_violation_window = layout::max_violation(layer.window_sum);
  result.load_entropy = layout::load_entropy(load.counts);
  result.dead_experts = dead_experts(layer);
  result.load_p05 = layout::load_quantile(load.counts, 0.05);
  result.load_p50 = layout::load_quantile(load.counts, 0.50);
  result.load_p95 = layout::load_quantile(load.counts, 0.95);
  if (!load.bias.empty()) {
    const auto [least, most] = std::ranges::minmax(load.bias);
    result.bias_min = least;
    result.bias_max = most;
  }
  const double routed = sum(load.counts);
  const auto zero = static_cast<double>(load.zero_compute);
  result.router_z = load.router_z;
  result.drop_ratio = ratio(sum(load.dropped), routed);
  result.zero_compute_ratio = ratio(zero, routed + zero);
  for (const double loss : load.aux_loss)
    result.aux_loss_layer += loss / static_cast<double>(load.aux_loss.size());
  return result;
}

void LoadMonitor::remember(Layer& layer, const comm::LayerLoad& load) {
  if (layer.steps == 0) {
    layer.window_sum.assign(load.counts.size(), 0);
    layer.last_used.assign(load.counts.size(), 0);
  }
  TROUPE_CHECK(load.counts.size() == layer.window_sum.size(), "layer {} reports {} experts, before it had {}",
               load.layer, load.counts.size(), layer.window_sum.size());
  ++layer.steps;
  add(layer.window_sum, load.counts, +1);
  layer.window.push_back(load.counts);
  if (layer.window.size() > kViolationWindow) {
    add(layer.window_sum, layer.window.front(), -1);
    layer.window.pop_front();
  }
  for (std::size_t expert = 0; expert < load.counts.size(); ++expert) {
    if (load.counts[expert] > 0) layer.last_used[expert] = layer.steps;
  }
}

std::int64_t LoadMonitor::dead_experts(const Layer& layer) {
  if (layer.steps < kDeadWindow) return 0;
  const std::int64_t oldest = layer.steps - kDeadWindow;
  return std::ranges::count_if(layer.last_used, [&](std::int64_t last) { return last <= oldest; });
}

}  // namespace troupe::coordinator
