#include "coordinator/job/out_of_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace troupe::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(OutOfMemoryWatch, OnlyAKillSinceTheStartIsRemarkedOn) {
  const auto file =
      std::filesystem::path(::testing::TempDir()) / ("out_of_memory_test_" + std::to_string(::getpid()));
  std::ofstream(file) << "nr_free_pages 12\noom_kill 3\nswap_ra 0\n";
  const OutOfMemoryWatch watch(file);
  EXPECT_THAT(watch.remark(), IsEmpty());
  std::ofstream(file) << "nr_free_pages 12\noom_kill 4\nswap_ra 0\n";
  EXPECT_THAT(watch.remark(), AllOf(HasSubstr("because memory ran out"), HasSubstr("batch.micro_batch")));
  std::filesystem::remove(file);
  EXPECT_THAT(watch.remark(), IsEmpty()) << "a system that does not say";
}

}  // namespace
}  // namespace troupe::coordinator
