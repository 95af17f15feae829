#include "coordinator/job/open_file_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

/// Changes this process's soft limit for one test.
class OpenFileLimitTest : public ::testing::Test {
 protected:
  OpenFileLimitTest() { EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0); }
  ~OpenFileLimitTest() override { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }

  void set(rlim_t soft) const {
    const struct rlimit limit { soft, before_.rlim_max };
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  [[nodiscard]] static rlim_t soft_limit() {
    struct rlimit limit {};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    return limit.rlim_cur;
  }
  [[nodiscard]] rlim_t hard_limit() const { return before_.rlim_max; }

 private:
  struct rlimit before_ {};
};

TEST_F(OpenFileLimitTest, IsRaisedForAsManyWorkersAsThereAre) {
  set(300);
  make_room_for_links(200);
  EXPECT_GT(soft_limit(), 200U + 64U);
}

TEST_F(OpenFileLimitTest, StaysWhereItSuffices) {
  set(600);
  make_room_for_links(4);
  EXPECT_EQ(soft_limit(), 600U);
}

TEST_F(OpenFileLimitTest, WorkersBeyondTheHardLimitAreRefusedAtOnce) {
  if (hard_limit() == RLIM_INFINITY) GTEST_SKIP() << "this host has no limit of open files";
  EXPECT_THROW(make_room_for_links(static_cast<std::int64_t>(hard_limit())), Error);
}

}  // namespace
}  // namespace troupe::coordinator
