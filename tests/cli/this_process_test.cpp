#include "cli/arguments/this_process.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <set>
#include <thread>

namespace troupe::cli {
namespace {

std::set<int> cores_of_this_thread() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(::sched_getaffinity(0, sizeof(mask), &mask), 0);
  std::set<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &mask)) cores.insert(core);
  return cores;
}

/// Cores that the thread of a worker has after it took its own.
std::set<int> cores_of_worker(int worker, int workers, int threads) {
  std::set<int> cores;
  std::thread([&] {
    take_own_cores(worker, workers, threads);
    std::thread([&] { cores = cores_of_this_thread(); }).join();  // as OpenMP's would be
  }).join();
  return cores;
}

TEST(TakeOwnCores, WorkersShareNoCoreWhenThereAreEnough) {
  const int all = available_cores();
  if (all < 2) GTEST_SKIP() << "one core here";
  const auto first = cores_of_worker(0, 2, all / 2);
  const auto second = cores_of_worker(1, 2, all / 2);
  EXPECT_EQ(first.size(), static_cast<std::size_t>(all / 2));
  EXPECT_EQ(second.size(), first.size());
  for (const int core : first) EXPECT_FALSE(second.contains(core)) << core;
}

TEST(TakeOwnCores, BlocksLeaveNoCoreOutAndShareNone) {
  for (int cores = 1; cores <= 12; ++cores) {
    for (int workers = 1; workers <= cores; ++workers) {
      int next = 0;
      for (int worker = 0; worker < workers; ++worker) {
        const CoreBlock block = block_of(worker, workers, cores);
        EXPECT_EQ(block.begin, next) << worker << " of " << workers << " on " << cores;
        EXPECT_GE(block.end - block.begin, cores / workers);
        next = block.end;
      }
      EXPECT_EQ(next, cores) << workers;
    }
  }
}

TEST(TakeOwnCores, StayWhereTheyAreWhenThereAreNot) {
  const auto everywhere = cores_of_this_thread();
  const int all = available_cores();
  EXPECT_EQ(cores_of_worker(0, 2, all), everywhere);
  EXPECT_EQ(cores_of_worker(all, all + 1, 1), everywhere);
}

TEST(TakeOwnCores, ASingleWorkerHasAll) { EXPECT_EQ(cores_of_worker(0, 1, 1), cores_of_this_thread()); }

}  // namespace
}  // namespace troupe::cli
