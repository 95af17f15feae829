#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "simulated_cluster.h"

namespace {
std::int64_t allocated_bytes = 0;  // by this program so far; it has one thread
}  // namespace

void* operator new(std::size_t bytes) {
  allocated_bytes += static_cast<std::int64_t>(bytes);
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace troupe::coordinator {
namespace {

constexpr std::int64_t kSteps = 8;

/// What a whole run asks for: workers join, report their steps, save, end and leave. A copy of something
/// about all workers for each worker, or for each of their messages, shows here whatever the machine.
std::int64_t bytes_of_run(std::int64_t workers) {
  const std::int64_t before = allocated_bytes;
  SimulatedCluster cluster({.seed = 1, .workers = workers, .steps = kSteps, .save_every = kSteps / 2});
  cluster.start_workers();
  EXPECT_TRUE(cluster.run());
  EXPECT_EQ(cluster.outcome().result, RunResult::kFinished);
  return allocated_bytes - before;
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
  EXPECT_LE(views_of_run(512), views_of_run(64) + 4);
}

}  // namespace
}  // namespace troupe::coordinator
