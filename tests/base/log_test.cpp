#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/scratch_folder.h"

namespace troupe {
namespace {

using ::testing::HasSubstr;

// The first test: nothing has set it up.
TEST(Log, GoesToStderrAlsoBeforeItIsSetUp) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  log::warn("early");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("[troupe] early"));
}

TEST(Log, GoesToItsFileWithTheName) {
  const test::ScratchFolder folder;
  log::set_up("worker 3", folder / "log");
  log::info("hello");
  EXPECT_THAT(read_file(folder / "log", 1000), HasSubstr("info [worker 3] hello\n"));
  log::set_up("troupe");
}

}  // namespace
}  // namespace troupe
