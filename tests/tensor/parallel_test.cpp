#include "tensor/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace troupe {
namespace {

TEST(ParallelFor, CallsEveryIndexOnce) {
  for (const int threads : {1, 2, 3}) {
    std::vector<std::atomic<int>> calls(50);
    parallel_for(Execution{threads}, 50, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST(ParallelFor, RethrowsAnExceptionOfAnyThread) {
  for (const int threads : {1, 3}) {
    EXPECT_THROW(parallel_for(Execution{threads}, 20,
                              [](std::int64_t i) {
                                if (i == 11) throw std::runtime_error("eleven");
                              }),
                 std::runtime_error);
  }
}

TEST(ParallelFor, InsideAnotherRunsOnTheCallingThread) {
  std::atomic<int> elsewhere = 0;
  parallel_for(Execution{2}, 4, [&](std::int64_t) {
    const int thread = omp_get_thread_num();
    parallel_for(Execution{2}, 4, [&](std::int64_t) { elsewhere += omp_get_thread_num() != thread ? 1 : 0; });
  });
  EXPECT_EQ(elsewhere, 0);
}

TEST(ParallelForBlocks, CoversTheRangeWithBlocksOfOneSize) {
  std::vector<int> covered(23);
  parallel_for_blocks(Execution{1}, 23, 5, [&](std::int64_t first, std::int64_t last) {
    EXPECT_EQ(first % 5, 0);
    EXPECT_EQ(last - first, first == 20 ? 3 : 5);
    for (std::int64_t i = first; i < last; ++i) ++covered[static_cast<std::size_t>(i)];
  });
  EXPECT_EQ(covered, std::vector<int>(23, 1));
}

TEST(ParallelForBlocks, OfNothingCallsNothing) {
  parallel_for_blocks(Execution{2}, 0, 5, [](std::int64_t, std::int64_t) { FAIL(); });
}

}  // namespace
}  // namespace troupe
