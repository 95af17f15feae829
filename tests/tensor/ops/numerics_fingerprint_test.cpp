#include "tensor/ops/numerics_fingerprint.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cstring>
#include <vector>

namespace troupe::ops {
namespace {

TEST(NumericsFingerprint, IsTheSameEveryTime) { EXPECT_EQ(numerics_fingerprint(), numerics_fingerprint()); }

TEST(NumericsFingerprint, DoesNotDependOnTheNumberOfThreads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const std::uint64_t with_one = numerics_fingerprint();
  omp_set_num_threads(3);
  EXPECT_EQ(numerics_fingerprint(), with_one);
  omp_set_num_threads(before);
}

// Memory that was used before, so that an output element nobody writes would show.
TEST(NumericsFingerprint, DoesNotDependOnWhatMemoryHeldBefore) {
  const std::uint64_t first = numerics_fingerprint();
  for (const std::size_t size : {1U << 12, 1U << 16, 1U << 20}) {
    std::vector<std::vector<unsigned char>> used(8, std::vector<unsigned char>(size, 0xCD));
    ASSERT_EQ(used[3][size / 2], 0xCD);
  }
  EXPECT_EQ(numerics_fingerprint(), first);
}

}  // namespace
}  // namespace troupe::ops
