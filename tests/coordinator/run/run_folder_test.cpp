#include "coordinator/run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RunFolderTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string metrics_after_cut(const std::string& content, std::int64_t step) const {
    RunFolder folder = RunFolder::open(parent_ / "run");
    std::ofstream(folder.metrics_file()) << content;
    static_cast<void>(folder.cut_metrics(step));
    return read_file(folder.metrics_file(), 1 << 20);
  }

  test::ScratchFolder parent_;
};

TEST_F(RunFolderTest, NumbersGoUpFromTheHighestThere) {
  fs::create_directories(parent_ / "quick-7");
  fs::create_directories(parent_ / "quick-7b");
  fs::create_directories(parent_ / "quicker-90");
  EXPECT_EQ(RunFolder::create_numbered(parent_, "quick").path().filename(), "quick-8");
  EXPECT_EQ(RunFolder::create_numbered(parent_, "quick").path().filename(), "quick-9");
  EXPECT_EQ(RunFolder::create_numbered(parent_ / "new", "quick").path().filename(), "quick-1");
}

TEST_F(RunFolderTest, RunsThatStartTogetherGetFoldersOfTheirOwn) {
  constexpr int kRuns = 16;
  std::vector<std::thread> threads;
  std::vector<fs::path> paths(kRuns);
  for (auto& path : paths) {
    threads.emplace_back([&] { path = RunFolder::create_numbered(parent_, "race").path(); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::set<fs::path>(paths.begin(), paths.end()).size(), kRuns);
}

TEST_F(RunFolderTest, ASecondCoordinatorIsRefusedAndToldWhoHoldsTheFolder) {
  const RunFolder first = RunFolder::open(parent_ / "run");
  try {
    (void)RunFolder::open(parent_ / "run");
    FAIL() << "the folder was locked twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), HasSubstr("is in use by process " + std::to_string(::getpid())));
    EXPECT_THAT(error.what(), HasSubstr("--run-dir"));
  }
}

TEST_F(RunFolderTest, TheLockEndsWithItsHolderHoweverThatEnds) {
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder folder = RunFolder::open(parent_ / "run");
    ::_exit(0);  // no destructor runs
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_NO_THROW((void)RunFolder::open(parent_ / "run"));
}

TEST_F(RunFolderTest, EpochsGoUpThroughReopening) {
  EXPECT_EQ(RunFolder::open(parent_ / "run").raise_epoch(), 1);
  RunFolder folder = RunFolder::open(parent_ / "run");
  EXPECT_EQ(folder.raise_epoch(), 2);
  EXPECT_EQ(folder.raise_epoch(), 3);
}

TEST_F(RunFolderTest, AnEpochThatIsNoNumberIsRefused) {
  RunFolder folder = RunFolder::open(parent_ / "run");
  std::ofstream(folder.path() / "epoch") << "seven";
  EXPECT_THROW((void)folder.raise_epoch(), Error);
}

TEST_F(RunFolderTest, TheNonceIsWrittenAndNewAtEachOpening) {
  std::string first;
  {
    const RunFolder folder = RunFolder::open(parent_ / "run");
    first = folder.nonce();
    EXPECT_EQ(read_file(folder.path() / "nonce", 100), first);
  }
  EXPECT_NE(RunFolder::open(parent_ / "run").nonce(), first);
}

TEST_F(RunFolderTest, MetricsAreCutAfterTheResumedStep) {
  EXPECT_EQ(metrics_after_cut("{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n", 2),
            "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(RunFolderTest, SaysWhetherTheResumedStepWasEvaluated) {
  RunFolder folder = RunFolder::open(parent_ / "run");
  std::ofstream(folder.metrics_file()) << "{\"step\":1}\n{\"step\":1,\"domains\":{}}\n{\"step\":2}\n";
  EXPECT_FALSE(folder.cut_metrics(2));
  EXPECT_TRUE(folder.cut_metrics(1));
}

TEST_F(RunFolderTest, LinesTornByACrashAreCutToo) {
  EXPECT_EQ(metrics_after_cut("{\"step\":1}\n{\"st\n{\"step\":2}\n{\"step\":2}", 5),
            "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(RunFolderTest, ARunWithoutMetricsHasNothingToCut) {
  RunFolder folder = RunFolder::open(parent_ / "run");
  EXPECT_FALSE(folder.cut_metrics(3));
  EXPECT_FALSE(fs::exists(folder.metrics_file()));
}

TEST_F(RunFolderTest, AFolderThatCannotBeMadeIsAnErrorThatNamesIt) {
  std::ofstream(parent_ / "file") << "x";
  try {
    (void)RunFolder::open(parent_ / "file" / "run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr((parent_ / "file" / "run").string()));
  }
}

}  // namespace
}  // namespace troupe::coordinator
