#include "cli/run/memory_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"

namespace troupe::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::int64_t kGigabyte = 1'000'000'000;
/// 4 GB of state, 6 GB in all.
constexpr workers::TrainingMemory kWorker{.parameters = 1 * kGigabyte,
                                          .gradient_lanes = 2 * kGigabyte,
                                          .optimizer_state = 1 * kGigabyte,
                                          .activations = 2 * kGigabyte};

TEST(MemoryCheck, EnoughIsNotWorthAWord) {
  EXPECT_THAT(check_memory(kWorker, 2, {16 * kGigabyte, 12 * kGigabyte}), IsEmpty());
}

TEST(MemoryCheck, MoreThanIsFreeIsWarnedOfWithNumbersAndWhatToReduce) {
  EXPECT_THAT(check_memory(kWorker, 2, {16 * kGigabyte, 11 * kGigabyte}),
              AllOf(HasSubstr("needs about 12 GB of memory and 11 GB are free"),
                    HasSubstr("2 workers of about 6 GB each"), HasSubstr("batch.micro_batch")));
}

TEST(MemoryCheck, StateThatTheMachineCannotHoldIsRefused) {
  EXPECT_THAT(check_memory(kWorker, 2, {8 * kGigabyte, 7 * kGigabyte}), HasSubstr("may kill it"));
  try {
    (void)check_memory(kWorker, 2, {8 * kGigabyte - 1, 7 * kGigabyte});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("this machine has 8 GB"), HasSubstr("batch.micro_batch")));
  }
}

class MachineMemoryTest : public ::testing::Test {
 protected:
  MachineMemoryTest()
      : root_(fs::path(::testing::TempDir()) / ("memory_check_test_" + std::to_string(::getpid()))) {
    write("proc/meminfo", "MemTotal:  1000 kB\nMemAvailable:  600 kB\nSwapTotal:  200 kB\n");
  }
  ~MachineMemoryTest() override { fs::remove_all(root_); }

  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  void expect(std::int64_t total, std::int64_t available) const {
    EXPECT_EQ(machine_memory(root_).total, 1024 * total);
    EXPECT_EQ(machine_memory(root_).available, 1024 * available);
  }

  fs::path root_;
};

TEST_F(MachineMemoryTest, IsWhatTheKernelSays) { expect(1200, 600); }

TEST_F(MachineMemoryTest, AControlGroupLimitsIt) {
  write("proc/self/cgroup", "0::/user/job\n");
  write("sys/fs/cgroup/user/job/memory.max", "409600\n");
  expect(400, 400);
}

TEST_F(MachineMemoryTest, SoDoesAnyGroupAboveIt) {
  write("proc/self/cgroup", "0::/slurm/job_7/step_0/user/task_0\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/user/task_0/memory.max", "max\n");
  write("sys/fs/cgroup/slurm/job_7/memory.max", "409600\n");
  expect(400, 400);
}

TEST_F(MachineMemoryTest, AGroupWithoutLimitDoesNot) {
  write("proc/self/cgroup", "0::/\n");
  write("sys/fs/cgroup/memory.max", "max\n");
  expect(1200, 600);
}

TEST_F(MachineMemoryTest, AGroupOfTheFirstVersionDoesInAContainerToo) {
  write("proc/self/cgroup", "9:cpu:/\n4:memory:/docker/0123\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "204800\n");
  expect(200, 200);
}

}  // namespace
}  // namespace troupe::cli
