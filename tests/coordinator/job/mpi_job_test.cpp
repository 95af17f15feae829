#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/child_process.h"
#include "base/file.h"
#include "coordinator/job/job_launcher.h"
#include "tests/scratch_folder.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// mpirun and two ranks that do nothing for long.
class MpiJobTest : public ::testing::Test {
 protected:
  MpiJobTest() {
    const fs::path script = folder_ / "rank.sh";
    std::ofstream(script)
        << "#!/bin/sh\necho rank $OMPI_COMM_WORLD_RANK threads $OMP_NUM_THREADS\nexec sleep 1000\n";
    fs::permissions(script, fs::perms::owner_all);
    JobOptions options;
    options.command = {script};
    options.workers = 2;
    options.threads = 3;
    options.is_root = ::geteuid() == 0;
    command_ = build_job_command(options);
    command_.environment["TMPDIR"] = folder_.path().string();  // an mpirun that is killed leaves files
  }

  [[nodiscard]] fs::path log() const { return folder_ / "job.log"; }
  void wait_for_ranks() const {
    while (!fs::exists(log()) || std::ranges::count(read_file(log(), 1 << 20), '\n') < 2) ::usleep(1000);
  }

  test::ScratchFolder folder_;
  Command command_;
};

TEST_F(MpiJobTest, RanksGetTheirEnvironmentAndEndWithTheJob) {
  JobLauncher job(command_, log());
  wait_for_ranks();
  EXPECT_THAT(job.log_tail(10), HasSubstr("rank 0 threads 3\n"));
  EXPECT_THAT(job.log_tail(10), HasSubstr("rank 1 threads 3\n"));
  job.end(std::chrono::seconds(20));
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST_F(MpiJobTest, WhatIsSentToEverythingDoesNotMakeMpirunKillItsRanks) {
  JobLauncher job(command_, log());
  wait_for_ranks();
  for (const int signal : {SIGTERM, SIGINT}) ASSERT_EQ(::kill(job.process_id(), signal), 0);
  std::string pending;
  for (std::ifstream status(fmt::format("/proc/{}/status", job.process_id()));
       std::getline(status, pending);) {
    if (pending.starts_with("ShdPnd:")) break;
  }
  EXPECT_EQ(pending, "ShdPnd:\t0000000000004002") << "both wait for ever";
  EXPECT_FALSE(job.poll().has_value());
}

TEST_F(MpiJobTest, EndingWithoutGraceLeavesNoRankEither) {
  JobLauncher job(command_, log());
  wait_for_ranks();
  job.end(std::chrono::seconds(0));
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST_F(MpiJobTest, NothingOutlivesAKilledCoordinator) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // so that orphans come here
  const pid_t coordinator = ::fork();
  if (coordinator == 0) {
    const JobLauncher job(command_, log());
    ::pause();
  }
  wait_for_ranks();
  ASSERT_EQ(::kill(coordinator, SIGKILL), 0);
  int reaped = 0;
  while (::waitpid(-1, nullptr, 0) > 0) ++reaped;  // hangs, until the test's limit, if one lives on
  EXPECT_GE(reaped, 2) << "the coordinator and mpirun, which had ended its ranks";
}

}  // namespace
}  // namespace troupe::coordinator
