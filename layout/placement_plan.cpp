#include "layout/placement_plan.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/index.h"

namespace troupe::layout {
namespace {

std::int64_t highest(const std::vector<std::int64_t>& load) { return *std::ranges::max_element(load); }

std::vector<int> by_descending_load(std::span<const std::int64_t> load) {
  std::vector<int> experts(load.size());
  std::iota(experts.begin(), experts.end(), 0);
  std::ranges::stable_sort(experts, [&](int a, int b) { return load[at(a)] > load[at(b)]; });
  return experts;
}

std::vector<std::int64_t> load_of_positions(const LayerPlacement& placement,
                                            std::span<const std::int64_t> load) {
  std::vector<std::int64_t> sums(at(placement.positions()));
  for (int expert = 0; expert < placement.experts(); ++expert) {
    sums[at(placement.position(expert))] += load[at(expert)];
  }
  return sums;
}

int moved_experts_between(const LayerPlacement& a, const LayerPlacement& b) {
  int moved = 0;
  for (int expert = 0; expert < a.experts(); ++expert) moved += a.position(expert) != b.position(expert);
  return moved;
}

bool pays(const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after, int gain_percent) {
  return highest(after) < highest(before) && 100 * highest(after) <= (100 - gain_percent) * highest(before);
}

double summed_imbalance(const std::vector<LayerPlan>& layers,
                        std::vector<std::int64_t> LayerPlan::*load_of_layer) {
  // Layers run one after another, and each waits for its busiest position: those add up.
  double busiest = 0.0;
  double mean = 0.0;
  for (const LayerPlan& layer : layers) {
    const auto& load = layer.*load_of_layer;
    busiest += static_cast<double>(highest(load));
    mean += static_cast<double>(std::accumulate(load.begin(), load.end(), std::int64_t{0})) /
            static_cast<double>(load.size());
  }
  return mean > 0.0 ? busiest / mean : 0.0;
}

}  // namespace

int PlacementPlan::moved_experts() const {
  int moved = 0;
  for (const LayerPlan& layer : layers) moved += layer.moved_experts;
  return moved;
}

int PlacementPlan::moved_layers() const {
  return static_cast<int>(
      std::ranges::count_if(layers, [](const LayerPlan& layer) { return layer.moved_experts > 0; }));
}

double PlacementPlan::imbalance_before() const { return summed_imbalance(layers, &LayerPlan::load_before); }

double PlacementPlan::imbalance_after() const { return summed_imbalance(layers, &LayerPlan::load_after); }

double imbalance(std::span<const std::int64_t> load) {
  const std::int64_t sum = std::accumulate(load.begin(), load.end(), std::int64_t{0});
  if (sum == 0) return 0.0;
  return static_cast<double>(*std::ranges::max_element(load)) * static_cast<double>(load.size()) /
         static_cast<double>(sum);
}

LayerPlacement pack_experts(const LayerPlacement& current, std::span<const std::int64_t> load) {
  TROUPE_CHECK(std::ssize(load) == current.experts(), "loads of {} experts for {}", load.size(),
               current.experts());
  const int positions = current.positions();
  std::vector<std::int64_t> packed(at(positions));
  std::vector<std::size_t> room;
  for (int p = 0; p < positions; ++p) room.push_back(current.experts_at(p).size());
  std::vector<int> position_of(load.size());
  // The heaviest first, to the lightest position with room. An expert stays where it is as long as that
  // is as light, so that a layer in balance moves nothing.
  for (const int expert : by_descending_load(load)) {
    int best = room[at(current.position(expert))] > 0 ? current.position(expert) : -1;
    for (int p = 0; p < positions; ++p) {
      if (room[at(p)] > 0 && (best < 0 || packed[at(p)] < packed[at(best)])) best = p;
    }
    position_of[at(expert)] = best;
    packed[at(best)] += load[at(expert)];
    --room[at(best)];
  }
  return {positions, std::move(position_of)};
}

PlacementPlan plan_placement(const Placement& current, const LoadCounts& load, int minimum_gain_percent) {
  TROUPE_CHECK(std::ssize(current) == load.layers(), "loads of {} layers for {}", load.layers(),
               current.size());
  PlacementPlan plan{.placement = current, .layers = {}};
  for (int layer = 0; layer < load.layers(); ++layer) {
    LayerPlacement& placement = plan.placement[at(layer)];
    const auto counts = load.layer(layer).first(at(placement.experts()));
    LayerPlacement packed = pack_experts(placement, counts);
    LayerPlan& moves = plan.layers.emplace_back();
    moves.load_before = load_of_positions(placement, counts);
    moves.load_after = load_of_positions(packed, counts);
    if (pays(moves.load_before, moves.load_after, minimum_gain_percent)) {
      moves.moved_experts = moved_experts_between(placement, packed);
      placement = std::move(packed);
    } else {
      moves.load_after = moves.load_before;
    }
  }
  return plan;
}

}  // namespace troupe::layout
