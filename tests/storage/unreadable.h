#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace troupe::storage {

/// Root may read everything: while this lives, the test's user is one for whom modes count.
class OrdinaryUser {
 public:
  OrdinaryUser() {
    if (::geteuid() == 0) {
      EXPECT_EQ(::seteuid(kNobody), 0);
    }
  }
  ~OrdinaryUser() {
    if (::getuid() == 0) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
};

/// Nobody but root can read the file, until it is allowed again.
inline void forbid_reading(const std::filesystem::path& path) {
  std::filesystem::permissions(path, std::filesystem::perms::none);
}
inline void allow_reading(const std::filesystem::path& path) {
  std::filesystem::permissions(path, std::filesystem::perms::all);
}

}  // namespace troupe::storage
