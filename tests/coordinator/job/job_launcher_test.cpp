#include "coordinator/job/job_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>

#include "base/child_process.h"
#include "base/error.h"
#include "base/signals.h"
#include "tests/scratch_folder.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::chrono::milliseconds kNoGrace{0};
constexpr std::chrono::milliseconds kLongGrace{20000};

class JobLauncherTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<JobLauncher> start(const std::string& script,
                                                   int end_signal = SIGTERM) const {
    Command command;
    command.arguments = {"sh", "-c", script};
    command.environment = {{"TROUPE_TEST", "from the launcher"}};
    command.end_signal = end_signal;
    return std::make_unique<JobLauncher>(command, folder_ / "job.log");
  }

  /// Blocks until the job's first process ended.
  static JobStatus wait(JobLauncher& job) {
    siginfo_t info{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(job.process_id()), &info, WEXITED | WNOWAIT), 0);
    return job.poll().value();
  }

  /// Blocks until the job printed something.
  void wait_for_output() const {
    while (fs::file_size(folder_ / "job.log") == 0) ::sched_yield();
  }

  test::ScratchFolder folder_;
};

TEST_F(JobLauncherTest, ReportsHowTheJobEnded) {
  EXPECT_EQ(wait(*start("exit 3")), (JobStatus{3, 0}));
  EXPECT_TRUE(wait(*start("exit 0")).succeeded());
  const JobStatus killed = wait(*start("kill -9 $$"));
  EXPECT_EQ(killed, (JobStatus{0, 9}));
  EXPECT_EQ(killed.text(), "was ended by signal 9 (Killed)");
}

TEST_F(JobLauncherTest, AJobThatRunsHasNoStatusYet) {
  EXPECT_FALSE(start("exec sleep 100")->poll().has_value());
}

TEST_F(JobLauncherTest, GivesTheJobItsEnvironmentItsOwnGroupAndNothingToRead) {
  auto job = start("echo $TROUPE_TEST; cat; cut -d' ' -f5 /proc/$$/stat; echo loud >&2");
  EXPECT_TRUE(wait(*job).succeeded());
  EXPECT_EQ(job->log_tail(10), "from the launcher\n" + std::to_string(job->process_id()) + "\nloud\n");
}

TEST_F(JobLauncherTest, TheJobBeginsWithNothingBlockedButWhatWasAskedFor) {
  signals::take_over();
  Command command;
  command.arguments = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"};
  command.blocked_signals = {SIGINT};
  JobLauncher job(command, folder_ / "job.log");
  EXPECT_TRUE(wait(job).succeeded());
  EXPECT_EQ(job.log_tail(10), "SigBlk:\t0000000000000002\nSigIgn:\t0000000000000000\n");
}

TEST_F(JobLauncherTest, TheTailIsTheLastLines) {
  auto job = start("seq 1 100000");
  EXPECT_TRUE(wait(*job).succeeded());
  EXPECT_EQ(job->log_tail(2), "99999\n100000\n");
}

TEST_F(JobLauncherTest, TheTailIsTheWorkersNotMpiruns) {
  const std::string rule(74, '-');
  auto job =
      start("echo 'error [worker 1] no text'; echo " + rule + "; echo MPI_ABORT was invoked; echo " + rule);
  EXPECT_TRUE(wait(*job).succeeded());
  EXPECT_EQ(job->log_tail(10), "error [worker 1] no text\n");
}

TEST_F(JobLauncherTest, WhatOnlyMpirunSaysIsShown) {
  const std::string rule(74, '-');
  auto job = start("echo " + rule + "; echo no such host; echo " + rule);
  EXPECT_TRUE(wait(*job).succeeded());
  EXPECT_THAT(job->log_tail(10), HasSubstr("no such host"));
}

TEST_F(JobLauncherTest, AProgramThatIsNotThereIsAnErrorThatNamesIt) {
  Command command;
  command.arguments = {"/nonexistent/mpirun"};
  try {
    const JobLauncher job(command, folder_ / "job.log");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/mpirun"));
  }
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST_F(JobLauncherTest, EndAsksFirst) {
  auto job = start("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
  wait_for_output();
  job->end(kLongGrace);
  EXPECT_THAT(job->log_tail(1), HasSubstr("asked"));
  EXPECT_TRUE(job->poll()->succeeded());
}

TEST_F(JobLauncherTest, EndKillsWhatDoesNotListen) {
  auto job = start("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  wait_for_output();
  job->end(kNoGrace);
  EXPECT_EQ(job->poll()->signal, SIGKILL);
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST_F(JobLauncherTest, EndAlsoEndsProcessesThatLeftTheGroupAndLostTheirParent) {
  // As the ranks of a killed mpirun: own session, parent gone.
  auto job = start("setsid sh -c 'trap \"\" TERM; echo ready; while :; do sleep 0.01; done' & exit 0");
  EXPECT_TRUE(wait(*job).succeeded());
  wait_for_output();
  job->end(kNoGrace);
  EXPECT_THAT(children_of_this_process(), IsEmpty());
}

TEST_F(JobLauncherTest, TheJobDiesWithTheProcessThatStartedIt) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // so that the orphan comes here
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto job = start("exec sleep 1000", SIGUSR2);
    ::raise(SIGKILL);  // no destructor runs
  }
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  int status = 0;
  ASSERT_GT(::waitpid(-1, &status, 0), 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
}

}  // namespace
}  // namespace troupe::coordinator
