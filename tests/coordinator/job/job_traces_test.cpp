#include "coordinator/job/job_traces.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>

#include "base/child_process.h"
#include "tests/scratch_folder.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;

/// A process of the job with this token that never ends.
pid_t start_process(const std::string& token) {
  const FileDescriptor output = FileDescriptor::open("/dev/null", O_WRONLY);
  return start_child({.arguments = {"sleep", "1000"}, .environment = {{"TROUPE_JOB", token}}}, output,
                     output);
}

/// The signal that ended it, now.
int end_signal(pid_t process) {
  int status = 0;
  EXPECT_EQ(::waitpid(process, &status, 0), process);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// As a killed coordinator leaves it: the record of a job without its end.
void leave_record(const fs::path& run, const std::string& token, const std::string& host,
                  const std::vector<fs::path>& folders = {}) {
  std::string list;
  for (const fs::path& folder : folders) list += (list.empty() ? "\"" : ", \"") + folder.string() + "\"";
  std::ofstream(run / "job.json") << R"({"host": ")" << host << R"(", "job": ")" << token
                                  << R"(", "folders": [)" << list << "]}";
}

std::string this_host() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

TEST(JobTraces, NothingIsLeftOfAJobThatEnded) {
  const test::ScratchFolder run;
  fs::path files;
  fs::path shared_memory;
  {
    const JobTraces traces(run.path(), "token");
    files = traces.files();
    shared_memory = traces.shared_memory();
    EXPECT_TRUE(fs::is_directory(files));
    EXPECT_TRUE(fs::is_directory(shared_memory));
    std::ofstream(files / "session") << "left behind";
    EXPECT_TRUE(fs::exists(run.path() / "job.json"));
  }
  EXPECT_FALSE(fs::exists(files));
  EXPECT_FALSE(fs::exists(shared_memory));
  EXPECT_TRUE(fs::is_empty(run.path()));
}

TEST(JobTraces, ALaterCoordinatorEndsTheJobAndNoOther) {
  const test::ScratchFolder run;
  const pid_t frozen = start_process("of-this-job");
  const pid_t other = start_process("of-another-job");
  ::kill(frozen, SIGSTOP);
  std::string folder = (fs::temp_directory_path() / "troupe-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  leave_record(run.path(), "of-this-job", this_host(), {folder});
  EXPECT_EQ(end_leftover_job(run.path()), 1U);
  EXPECT_EQ(end_signal(frozen), SIGKILL);
  EXPECT_EQ(::kill(other, 0), 0);
  ::kill(other, SIGTERM);
  EXPECT_EQ(end_signal(other), SIGTERM);
  EXPECT_FALSE(fs::exists(folder));
  EXPECT_TRUE(fs::is_empty(run.path()));
  EXPECT_EQ(end_leftover_job(run.path()), 0U) << "once";
}

TEST(JobTraces, ARecordCannotNameAnybodyElsesFolder) {
  const test::ScratchFolder run;
  const fs::path precious = run / "troupe-precious";
  fs::create_directories(precious);
  leave_record(run.path(), "token", this_host(), {precious, "troupe-y", run.path()});
  EXPECT_EQ(end_leftover_job(run.path()), 0U);
  EXPECT_TRUE(fs::exists(precious));
}

TEST(JobTraces, WhatIsLeftOnAnotherMachineIsNotEndedHere) {
  const test::ScratchFolder run;
  const pid_t process = start_process("same-token");
  leave_record(run.path(), "same-token", "elsewhere");
  EXPECT_EQ(end_leftover_job(run.path()), 0U);
  ::kill(process, SIGTERM);
  EXPECT_EQ(end_signal(process), SIGTERM);
}

TEST(JobTraces, ARecordThatIsDamagedIsNoObstacle) {
  const test::ScratchFolder run;
  for (const char* text : {"", "[1, 2]", R"({"host": 7, "job": {}, "folders": 3})", R"({"host": "x")"}) {
    std::ofstream(run.path() / "job.json") << text;
    EXPECT_EQ(end_leftover_job(run.path()), 0U);
  }
}

}  // namespace
}  // namespace troupe::coordinator
