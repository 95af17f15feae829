#include "coordinator/recovery/stall_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

comm::WorkerActive activity(std::int64_t rank, std::int64_t moves, const std::string& what = "training") {
  comm::WorkerActive active{.rank = rank, .step = 1, .activity = what};
  active.places.push_back({rank, "forward", 3, "", 0, moves});
  return active;
}

/// Two workers that train, a step each second.
class StallWatchTest : public ::testing::Test {
 protected:
  StallWatchTest() {
    watch_.begin(now_);
    for (std::int64_t step = 1; step <= 10; ++step) {
      now_ += seconds(1);
      watch_.step_finished(now_);
    }
    for (const std::int64_t rank : {0, 1}) watch_.heard(activity(rank, 100), now_);
  }
  bool stalled_after(Duration later) { return watch_.stalled(now_ + later).has_value(); }

  StallWatch watch_{seconds(20)};
  TimePoint now_{};
};

TEST_F(StallWatchTest, NothingThatMovesForTheShortestTimeIsAStall) {
  EXPECT_FALSE(stalled_after(seconds(20)));
  EXPECT_TRUE(stalled_after(milliseconds(20'001)));
  EXPECT_EQ(watch_.stalled(now_ + seconds(25)), seconds(25));
}

TEST_F(StallWatchTest, AMoveOfAnyWorkerIsNone) {
  watch_.heard(activity(1, 101), now_ + seconds(19));
  EXPECT_FALSE(stalled_after(seconds(39)));
  EXPECT_TRUE(stalled_after(seconds(40)));
}

TEST_F(StallWatchTest, AHeartbeatWithoutAMoveIsNoSignOfLife) {
  watch_.heard(activity(0, 100), now_ + seconds(19));
  watch_.heard(activity(1, 100), now_ + seconds(19));
  EXPECT_TRUE(stalled_after(seconds(21)));
}

TEST_F(StallWatchTest, LongStepsTakeLonger) {
  StallWatch slow(seconds(20));
  slow.begin({});
  TimePoint now{};
  for (int step = 0; step < 5; ++step) slow.step_finished(now += seconds(60));
  slow.heard(activity(0, 1), now);
  EXPECT_EQ(slow.median_step(), seconds(60));
  EXPECT_EQ(slow.stalled(now + seconds(480)), std::nullopt);
  EXPECT_NE(slow.stalled(now + seconds(481)), std::nullopt);
}

TEST_F(StallWatchTest, OneLongWaitIsGivenMoreTime) {
  for (const char* what : {"saving", "", "leaving"}) {
    now_ += seconds(1);
    watch_.heard(activity(1, 100, what), now_);
    EXPECT_FALSE(stalled_after(seconds(200))) << what;
    EXPECT_TRUE(stalled_after(seconds(201))) << what;
  }
  now_ += seconds(1);
  watch_.heard(activity(1, 100, "evaluating"), now_);
  EXPECT_TRUE(stalled_after(seconds(21)));
}

TEST_F(StallWatchTest, BeforeAStepWasMeasuredThereIsMoreTime) {
  StallWatch fresh(seconds(20));
  EXPECT_EQ(fresh.stalled(now_ + seconds(1000)), std::nullopt) << "not all workers are here";
  fresh.begin(now_);
  fresh.heard(activity(0, 1), now_);
  EXPECT_EQ(fresh.stalled(now_ + seconds(200)), std::nullopt);
  EXPECT_NE(fresh.stalled(now_ + seconds(201)), std::nullopt);
}

TEST_F(StallWatchTest, ACoordinatorThatStoodStillBlamesNobody) {
  watch_.forgive(now_ + seconds(1000));
  EXPECT_FALSE(stalled_after(seconds(1020)));
  StallWatch slept(seconds(20));
  slept.begin(now_);
  slept.step_finished(now_);
  slept.forgive(now_ + seconds(1000));
  slept.step_finished(now_ + seconds(1001));
  EXPECT_EQ(slept.median_step(), Duration::zero()) << "that was no step's time";
}

TEST_F(StallWatchTest, ZeroIsNever) {
  StallWatch never{Duration::zero()};
  never.begin({});
  EXPECT_EQ(never.stalled(TimePoint{} + std::chrono::hours(1000)), std::nullopt);
}

}  // namespace
}  // namespace troupe::coordinator
