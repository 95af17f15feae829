#include "coordinator/job/slurm_allocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace troupe::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

TEST(SlurmAllocation, ExpandsWhatSlurmWrites) {
  EXPECT_THAT(expand_node_list("login"), Optional(ElementsAre("login")));
  EXPECT_THAT(expand_node_list("gpu[8-11]"), Optional(ElementsAre("gpu8", "gpu9", "gpu10", "gpu11")));
  EXPECT_THAT(expand_node_list("gpu[09-10,3],big-1,a[1]b"),
              Optional(ElementsAre("gpu09", "gpu10", "gpu3", "big-1", "a1b")));
  EXPECT_THAT(expand_node_list("r[1-2]n[1-2]-ib"),
              Optional(ElementsAre("r1n1-ib", "r1n2-ib", "r2n1-ib", "r2n2-ib")));
}

TEST(SlurmAllocation, RefusesWhatIsNoListOrTooLong) {
  for (const char* list :
       {"", "a,", ",a", "a[", "a]", "a[]", "a[1", "a[1-]", "a[-1]", "a[3-1]", "a[x]", "a[1-2-3]", "a[[1]]",
        "a[1,]", "a[0-65536]", "a[1-40000],b[1-40000]", "a[1-300]b[1-300]", "a[99999999999999999999]"}) {
    EXPECT_EQ(expand_node_list(list), std::nullopt) << list;
  }
  EXPECT_EQ(expand_node_list("a[1-65536]")->size(), 65536U);
}

TEST(SlurmAllocation, ReadsTheEnvironment) {
  ::unsetenv("SLURM_NTASKS");
  ::unsetenv("SLURM_JOB_NODELIST");
  EXPECT_EQ(slurm_allocation().tasks, 0);
  EXPECT_THAT(slurm_allocation().hosts, IsEmpty());
  ::setenv("SLURM_NTASKS", "12", 1);
  ::setenv("SLURM_JOB_NODELIST", "n[1-2]", 1);
  EXPECT_EQ(slurm_allocation().tasks, 12);
  EXPECT_THAT(slurm_allocation().hosts, ElementsAre("n1", "n2"));
  ::setenv("SLURM_NTASKS", "many", 1);
  ::setenv("SLURM_JOB_NODELIST", "n[1-", 1);
  EXPECT_EQ(slurm_allocation().tasks, 0);
  EXPECT_THAT(slurm_allocation().hosts, IsEmpty());
  ::unsetenv("SLURM_NTASKS");
  ::unsetenv("SLURM_JOB_NODELIST");
}

}  // namespace
}  // namespace troupe::coordinator
