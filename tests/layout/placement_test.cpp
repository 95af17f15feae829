#include "layout/placement.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "layout/layout.h"

namespace troupe::layout {
namespace {

constexpr BatchShape kBatch{.accumulation_steps = 1, .grad_lanes = 4, .expert_lanes = 4, .micro_batch = 1};

std::vector<int> experts_at(const LayerPlacement& placement, int position) {
  const auto experts = placement.experts_at(position);
  return {experts.begin(), experts.end()};
}

TEST(LayerPlacement, ListsAPositionsExpertsAscending) {
  const LayerPlacement placement(3, {2, 0, 2, 1, 0});
  EXPECT_EQ(experts_at(placement, 0), (std::vector<int>{1, 4}));
  EXPECT_EQ(experts_at(placement, 1), (std::vector<int>{3}));
  EXPECT_EQ(experts_at(placement, 2), (std::vector<int>{0, 2}));
  EXPECT_EQ(placement.position(2), 2);
  const auto order = placement.order();
  EXPECT_EQ(std::vector<int>(order.begin(), order.end()), (std::vector<int>{1, 4, 3, 0, 2}));
}

TEST(LayerPlacement, ContiguousPositionsHoldFloorOrCeiling) {
  EXPECT_EQ(LayerPlacement::contiguous(7, 3), LayerPlacement(3, {0, 0, 0, 1, 1, 2, 2}));
  EXPECT_TRUE(LayerPlacement::contiguous(2, 3).experts_at(2).empty());
}

TEST(LayerPlacement, RefusesAPositionThatDoesNotExist) {
  EXPECT_THROW(LayerPlacement(2, {0, 2}), Error);
  EXPECT_THROW(LayerPlacement(2, {0, -1}), Error);
}

TEST(LayoutPlacement, IsContiguousUntilMoved) {
  const Layout layout(kBatch, 4, 2, 5);
  const LayerPlacement swapped(2, {1, 0, 0, 0, 1});
  const Layout moved = layout.with_placement({LayerPlacement::contiguous(5, 2), swapped});
  EXPECT_EQ(layout.placement(1), LayerPlacement::contiguous(5, 2));
  EXPECT_EQ(moved.placement(0), LayerPlacement::contiguous(5, 2));
  EXPECT_EQ(moved.placement(1), swapped);
  EXPECT_EQ(moved.placements(2), (Placement{LayerPlacement::contiguous(5, 2), swapped}));
}

TEST(LayoutPlacement, RefusesWhatDoesNotFit) {
  const Layout layout(kBatch, 4, 2, 5);
  EXPECT_THROW(static_cast<void>(layout.with_placement({LayerPlacement(2, {0, 0, 1, 1, 1})})), Error)
      << "position 1 has memory for two";
  EXPECT_THROW(static_cast<void>(layout.with_placement({LayerPlacement::contiguous(5, 4)})), Error);
  EXPECT_THROW(static_cast<void>(layout.with_placement({LayerPlacement::contiguous(4, 2)})), Error);
}

}  // namespace
}  // namespace troupe::layout
