#pragma once
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

namespace troupe::storage {

/// Root may read everything: while this lives, file modes count for this thread, and those it starts, as they
/// do for anyone else. (Becoming another user would lock the test out of temporary folders that are root's
/// alone.)
class OrdinaryUser {
 public:
  OrdinaryUser() {
    EXPECT_EQ(::syscall(SYS_capget, &header_, before_), 0);
    __user_cap_data_struct without[kWords] = {before_[0], before_[1]};
    without[0].effective &= ~((1U << CAP_DAC_OVERRIDE) | (1U << CAP_DAC_READ_SEARCH));
    EXPECT_EQ(::syscall(SYS_capset, &header_, without), 0);
  }
  ~OrdinaryUser() { EXPECT_EQ(::syscall(SYS_capset, &header_, before_), 0); }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  static constexpr int kWords = _LINUX_CAPABILITY_U32S_3;
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[kWords] = {};
};

/// Nobody but root can read the file, until it is allowed again.
inline void forbid_reading(const std::filesystem::path& path) {
  std::filesystem::permissions(path, std::filesystem::perms::none);
}
inline void allow_reading(const std::filesystem::path& path) {
  std::filesystem::permissions(path, std::filesystem::perms::all);
}

}  // namespace troupe::storage
