#include <gtest/gtest.h>

#include "tests/coordinator/run/simulated_cluster.h"
#include "tests/performance/allocation_counter.h"

namespace troupe::coordinator {
namespace {

constexpr std::int64_t kSteps = 8;

/// What a whole run asks for: workers join, report their steps, save, end and leave. A copy of something
/// about all workers for each worker, or for each of their messages, shows here whatever the machine.
std::int64_t bytes_of_run(std::int64_t workers) {
  const test::AllocationCounter counter;
  SimulatedCluster cluster({.seed = 1, .workers = workers, .steps = kSteps, .save_every = kSteps / 2});
  cluster.start_workers();
  EXPECT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFinished);
  return counter.bytes();
}

TEST(CoordinatorCost, MemoryAskedForGrowsLinearlyWithTheWorkers) {
  const auto few = static_cast<double>(bytes_of_run(256));
  const auto many = static_cast<double>(bytes_of_run(512));
  EXPECT_LT(many / few, 2.2);
  EXPECT_GT(many / few, 1.8) << "it does not measure what it should";
}

TEST(CoordinatorCost, ViewsOfAllWorkersAreNotShownForEachOfThem) {
  const auto views_of_run = [](std::int64_t workers) {
    SimulatedCluster cluster({.seed = 1, .workers = workers, .steps = kSteps});
    cluster.start_workers();
    EXPECT_TRUE(cluster.run());
    return cluster.observer.membership_changes;
  };
  const auto few = views_of_run(64);
  EXPECT_GE(few, 2) << "joined, and left";
  EXPECT_LE(views_of_run(512), few + 4);
}

}  // namespace
}  // namespace troupe::coordinator
