#include "coordinator/run/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int kCannotFilter = 77;

/// From here on flock(2) fails in this process as on a file system without locks.
bool forbid_flock() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{4, program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class FolderLockTest : public ::testing::Test {
 protected:
  FolderLockTest()
      : folder_(fs::path(::testing::TempDir()) / ("folder_lock_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~FolderLockTest() override { fs::remove_all(folder_); }

  /// Runs `body` in a process that has no flock; its exit code.
  template <class Body>
  int without_flock(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (!forbid_flock()) ::_exit(kCannotFilter);
      try {
        body();
      } catch (const Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        ::_exit(2);
      }
      ::_exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  void expect_refused(const std::string& part) const {
    try {
      const FolderLock lock(folder_);
      ADD_FAILURE() << "the folder was taken twice";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kIo);
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  fs::path folder_;
};

TEST_F(FolderLockTest, WithoutFlockAnotherGuardHoldsTheFolder) {
  const int code = without_flock([&] {
    const FolderLock lock(folder_);
    EXPECT_TRUE(fs::exists(folder_ / "owner"));
    expect_refused("is in use by process " + std::to_string(::getpid()));
  });
  if (code == kCannotFilter) GTEST_SKIP() << "system calls cannot be filtered here";
  EXPECT_EQ(code, 0);
}

TEST_F(FolderLockTest, TheOwnerFileGoesWithItsOwner) {
  const int code = without_flock([&] {
    {
      FolderLock lock(folder_);
      const FolderLock moved(std::move(lock));
      EXPECT_TRUE(fs::exists(folder_ / "owner"));
    }
    EXPECT_FALSE(fs::exists(folder_ / "owner"));
    const FolderLock again(folder_);
  });
  if (code == kCannotFilter) GTEST_SKIP() << "system calls cannot be filtered here";
  EXPECT_EQ(code, 0);
}

TEST_F(FolderLockTest, AKilledOwnersFileIsTakenOver) {
  const int killed = without_flock([&] {
    const FolderLock lock(folder_);
    ::_exit(0);  // no destructor runs
  });
  if (killed == kCannotFilter) GTEST_SKIP() << "system calls cannot be filtered here";
  ASSERT_TRUE(fs::exists(folder_ / "owner"));
  EXPECT_EQ(without_flock([&] { const FolderLock lock(folder_); }), 0);
}

TEST_F(FolderLockTest, AnotherHostsOwnerIsNotTakenOver) {
  std::ofstream(folder_ / "owner") << "4711 181223 elsewhere\n";
  const int code = without_flock([&] {
    expect_refused("process 4711 on elsewhere");
    expect_refused("if that process has ended, remove " + (folder_ / "owner").string());
  });
  if (code == kCannotFilter) GTEST_SKIP() << "system calls cannot be filtered here";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace troupe::coordinator
