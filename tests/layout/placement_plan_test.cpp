#include "layout/placement_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/random.h"

namespace troupe::layout {
namespace {

std::vector<std::int64_t> loads(const LayerPlacement& placement, const std::vector<std::int64_t>& load) {
  std::vector<std::int64_t> sums(static_cast<std::size_t>(placement.positions()));
  for (int e = 0; e < placement.experts(); ++e)
    sums[static_cast<std::size_t>(placement.position(e))] += load[static_cast<std::size_t>(e)];
  return sums;
}

std::int64_t busiest(const LayerPlacement& placement, const std::vector<std::int64_t>& load) {
  return std::ranges::max(loads(placement, load));
}

// The least possible load of the busiest position, over every placement with this room.
std::int64_t optimum(const std::vector<std::int64_t>& load, const LayerPlacement& rooms) {
  std::vector<int> position_of;
  for (const int e : rooms.order()) position_of.push_back(rooms.position(e));
  std::ranges::sort(position_of);
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  do {
    best = std::min(best, busiest(LayerPlacement(rooms.positions(), position_of), load));
  } while (std::ranges::next_permutation(position_of).found);
  return best;
}

LoadCounts counts_of(const std::vector<std::int64_t>& load) {
  LoadCounts counts(1, static_cast<int>(load.size()));
  std::ranges::copy(load, counts.all().begin());
  return counts;
}

TEST(PackExperts, PutsTheHeaviestOnTheLeastLoaded) {
  const auto packed = pack_experts(LayerPlacement::contiguous(4, 2), std::vector<std::int64_t>{9, 8, 2, 1});
  EXPECT_EQ(packed, LayerPlacement(2, {0, 1, 1, 0}));
}

TEST(PackExperts, KeepsTheNumberOfExpertsOfEachPosition) {
  const auto current = LayerPlacement::contiguous(7, 3);
  const auto packed = pack_experts(current, std::vector<std::int64_t>{100, 1, 1, 1, 1, 1, 1});
  for (int p = 0; p < 3; ++p) EXPECT_EQ(packed.experts_at(p).size(), current.experts_at(p).size()) << p;
}

TEST(PackExperts, KeepsAnExpertWhereItIsAmongEqualPositions) {
  const LayerPlacement current(3, {2, 1, 0, 0, 1, 2});
  const auto packed = pack_experts(current, std::vector<std::int64_t>{9, 9, 9, 4, 4, 4});
  EXPECT_EQ(packed, current);
}

TEST(PlanPlacement, MovesNothingWhenLoadsAreEqual) {
  for (const auto& current : {LayerPlacement::contiguous(6, 3), LayerPlacement(3, {2, 1, 0, 0, 1, 2})}) {
    EXPECT_EQ(plan_placement({current}, counts_of(std::vector<std::int64_t>(6, 5))).placement[0], current);
  }
}

TEST(PackExperts, TiesGoToTheLowerExpertAndThenTheLowerPosition) {
  // All four come from position 1 or 2; the first of the equal ones stays, 2 is left for the second.
  const LayerPlacement current(3, {2, 2, 1, 1, 0, 0});
  const auto packed = pack_experts(current, std::vector<std::int64_t>{7, 7, 0, 0, 0, 0});
  EXPECT_EQ(packed.position(0), 2);
  EXPECT_EQ(packed.position(1), 0);
}

TEST(PackExperts, IsCloseToTheBestPlacement) {
  const Random random(1, RandomPurpose::kTest, 0);
  std::uint64_t at = 0;
  for (int instance = 0; instance < 60; ++instance) {
    const auto rooms = LayerPlacement::contiguous(7 + instance % 2, 2 + instance % 3);
    std::vector<std::int64_t> load;
    for (int e = 0; e < rooms.experts(); ++e)
      load.push_back(static_cast<std::int64_t>(random.below(at++, 100)));
    const auto greedy = busiest(pack_experts(rooms, load), load);
    EXPECT_LE(3 * greedy, 4 * optimum(load, rooms)) << "instance " << instance;
  }
}

TEST(PlanPlacement, SaysWhatMovesAndWhatItGains) {
  const PlacementPlan plan = plan_placement({LayerPlacement::contiguous(4, 2)}, counts_of({9, 8, 2, 1}));
  EXPECT_EQ(plan.placement[0], LayerPlacement(2, {0, 1, 1, 0}));
  EXPECT_EQ(plan.layers[0].load_before, (std::vector<std::int64_t>{17, 3}));
  EXPECT_EQ(plan.layers[0].load_after, (std::vector<std::int64_t>{10, 10}));
  EXPECT_EQ(plan.moved_experts(), 2);
  EXPECT_EQ(plan.moved_layers(), 1);
  EXPECT_DOUBLE_EQ(plan.imbalance_before(), 1.7);
  EXPECT_DOUBLE_EQ(plan.imbalance_after(), 1.0);
}

TEST(PlanPlacement, StaysWhenTheGainIsSmall) {
  const Placement current{LayerPlacement::contiguous(4, 2)};
  // 52 of 100 could become 50: 3.8 %.
  const auto counts = counts_of({27, 25, 25, 23});
  const PlacementPlan stays = plan_placement(current, counts);
  EXPECT_EQ(stays.placement, current);
  EXPECT_EQ(stays.moved_experts(), 0);
  EXPECT_EQ(stays.layers[0].load_after, stays.layers[0].load_before);
  EXPECT_EQ(plan_placement(current, counts, 3).moved_layers(), 1);
}

TEST(PlanPlacement, StaysWithoutAnyLoad) {
  const PlacementPlan plan = plan_placement({LayerPlacement::contiguous(4, 2)}, counts_of({0, 0, 0, 0}));
  EXPECT_EQ(plan.moved_experts(), 0);
  EXPECT_EQ(plan.imbalance_before(), 0.0);
}

TEST(PlanPlacement, IsSettledAfterOneMove) {
  const auto counts = counts_of({31, 4, 15, 9, 2, 6, 5, 3});
  const PlacementPlan first = plan_placement({LayerPlacement::contiguous(8, 4)}, counts);
  EXPECT_GT(first.moved_experts(), 0);
  EXPECT_EQ(plan_placement(first.placement, counts).moved_experts(), 0);
}

TEST(PlanPlacement, IgnoresZeroComputeExperts) {
  LoadCounts counts(1, 5);
  std::ranges::copy(std::vector<std::int64_t>{9, 8, 2, 1, 1000}, counts.all().begin());
  EXPECT_EQ(plan_placement({LayerPlacement::contiguous(4, 2)}, counts).placement[0],
            LayerPlacement(2, {0, 1, 1, 0}));
}

}  // namespace
}  // namespace troupe::layout
