#include "coordinator/recovery/host_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace troupe::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<Host> kHosts{{"a", 4}, {"b", 4}, {"c", 0}};

/// Of 8 workers on hosts of 2 cores; any even number of them can compute the run.
HostDemand demand(std::int64_t min_workers) {
  return {.workers = 8,
          .min_workers = min_workers,
          .cores = 2,
          .may_share_slots = false,
          .most = [](std::int64_t most) { return most - most % 2; }};
}

TEST(HostChoice, KeepsAllThatAnswer) {
  EXPECT_EQ(choose_hosts(kHosts, {true, true, true}, demand(1)), (HostChoice{kHosts, {}, 8}));
}

TEST(HostChoice, LeavesOutWhoDoesNotAnswerAndTakesAsManyWorkersAsHaveRoom) {
  EXPECT_EQ(choose_hosts(kHosts, {true, false, true}, demand(1)),
            (HostChoice{{{"a", 4}, {"c", 0}}, {"b"}, 6}));
  EXPECT_EQ(choose_hosts(kHosts, {false, false, true}, demand(1)), (HostChoice{{{"c", 0}}, {"a", "b"}, 2}));
}

TEST(HostChoice, OversubscribedHostsHaveRoomForAll) {
  HostDemand shared = demand(1);
  shared.may_share_slots = true;
  EXPECT_EQ(choose_hosts(kHosts, {true, false, false}, shared), (HostChoice{{{"a", 4}}, {"b", "c"}, 8}));
}

TEST(HostChoice, WaitsForHostsWithoutWhichThereAreTooFewWorkers) {
  EXPECT_EQ(choose_hosts(kHosts, {true, false, true}, demand(7)), (HostChoice{kHosts, {}, 8}));
  EXPECT_EQ(choose_hosts(kHosts, {false, false, false}, demand(1)), (HostChoice{kHosts, {}, 8}));
}

TEST(HostChoice, FewerWorkersThatTheRunHasAlreadyAreNotMadeMore) {
  HostDemand fewer = demand(1);
  fewer.workers = 2;
  EXPECT_EQ(choose_hosts(kHosts, {true, false, true}, fewer), (HostChoice{{{"a", 4}, {"c", 0}}, {"b"}, 2}));
}

}  // namespace
}  // namespace troupe::coordinator
