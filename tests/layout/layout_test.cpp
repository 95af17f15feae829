#include "layout/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace troupe::layout {
namespace {

constexpr BatchShape kBatch{.accumulation_steps = 3, .grad_lanes = 12, .expert_lanes = 4, .micro_batch = 2};

TEST(Layout, EveryLaneIsComputedOnceByItsOwner) {
  for (int workers = 1; workers <= 12; ++workers) {
    const Layout layout(kBatch, workers, workers, 8);
    std::multiset<int> computed;
    for (int wave = 0; wave < layout.waves(); ++wave) {
      int previous = -1;
      for (int worker = 0; worker < workers; ++worker) {
        const int lane = layout.lane(worker, wave);
        if (lane < 0) continue;
        EXPECT_EQ(lane % workers, worker);
        if (previous >= 0) {
          EXPECT_EQ(lane, previous + 1) << "lanes of a wave are consecutive";
        }
        previous = lane;
        computed.insert(lane);
      }
    }
    std::multiset<int> expected;
    for (int lane = 0; lane < 12; ++lane) expected.insert(lane);
    EXPECT_EQ(computed, expected) << workers << " workers";
  }
}

TEST(Layout, MicrobatchesHoldTheSameSequencesInEveryLayout) {
  const Layout one(kBatch, 1, 1, 8);
  const Layout five(kBatch, 5, 5, 8);
  EXPECT_EQ(one.first_sequence(2, 7), five.first_sequence(2, 7));
  EXPECT_EQ(one.first_sequence(2, 11) + kBatch.micro_batch, kBatch.sequences());
}

TEST(Layout, LanesOfAGroupsWorkersBelongToItsExpertLanes) {
  for (const auto& [workers, expert_parallel] : {std::pair{4, 1}, {4, 2}, {4, 4}, {6, 3}, {12, 3}, {8, 4}}) {
    const Layout layout(kBatch, workers, expert_parallel, 8);
    for (int worker = 0; worker < workers; ++worker) {
      const auto lanes = layout.expert_lanes_of(layout.group(worker));
      for (const int lane : layout.lanes_of(worker)) {
        EXPECT_TRUE(std::ranges::find(lanes, layout.expert_lane(lane)) != lanes.end());
      }
      EXPECT_EQ(layout.worker(layout.group(worker), layout.position(worker)), worker);
    }
  }
}

TEST(Layout, ExpertsNeedNotDivide) {
  const Layout layout(kBatch, 5, 5, 8);
  EXPECT_EQ(layout.placement(0), LayerPlacement::ranges({0, 2, 4, 6, 7, 8}));
  const Layout more_workers_than_experts(kBatch, 5, 5, 3);
  EXPECT_EQ(more_workers_than_experts.placement(0), LayerPlacement::ranges({0, 1, 2, 3, 3, 3}));
}

TEST(Layout, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Layout(kBatch, 13, 13, 8), Error);
  EXPECT_THROW(Layout(kBatch, 0, 1, 8), Error);
  EXPECT_THROW(Layout(kBatch, 4, 3, 8), Error);
  EXPECT_THROW(Layout(kBatch, 6, 2, 8), Error) << "3 replicas do not divide 4 expert lanes";
}

TEST(SliceByChunks, CoversTheBufferAndBeginsAtChunkBorders) {
  const std::vector<std::int64_t> parameters{0, 100, 100 + 3 * kChunkElements + 5, 400000};
  for (int ranks = 1; ranks <= 9; ++ranks) {
    const auto slices = slice_by_chunks(parameters, ranks);
    ASSERT_EQ(slices.size(), static_cast<std::size_t>(ranks) + 1);
    EXPECT_EQ(slices.front(), 0);
    EXPECT_EQ(slices.back(), 400000);
    for (std::size_t i = 0; i + 1 < slices.size(); ++i) {
      EXPECT_LE(slices[i], slices[i + 1]);
      bool border = false;
      for (std::size_t p = 0; p + 1 < parameters.size(); ++p) {
        if (slices[i] >= parameters[p] && slices[i] < parameters[p + 1]) {
          border = (slices[i] - parameters[p]) % kChunkElements == 0;
        }
      }
      EXPECT_TRUE(border || slices[i] == 400000) << slices[i];
    }
  }
}

}  // namespace
}  // namespace troupe::layout
