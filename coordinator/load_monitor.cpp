#include "coordinator/load_monitor.h"

#include <algorithm>

#include "base/error.h"
#include "layout/load_counts.h"

namespace troupe::coordinator {
namespace {

void add(std::vector<std::int64_t>& sum, std::span<const std::int64_t> counts, std::int64_t sign) {
  for (std::size_t expert = 0; expert < sum.size(); ++expert) sum[expert] += sign * counts[expert];
}

}  // namespace

std::vector<LayerLoadStatistics> LoadMonitor::observe(std::span<const comm::LayerLoad> loads) {
  std::vector<LayerLoadStatistics> statistics;
  statistics.reserve(loads.size());
  for (const comm::LayerLoad& load : loads) statistics.push_back(observe(layers_[load.layer], load));
  return statistics;
}

LayerLoadStatistics LoadMonitor::observe(Layer& layer, const comm::LayerLoad& load) {
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
