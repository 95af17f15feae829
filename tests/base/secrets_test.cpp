#include "base/secrets.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/scratch_folder.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;

TEST(Secrets, AreNeverTheSameTwiceAndAsLongAsAskedFor) {
  const std::string one = random_hex(32);
  EXPECT_EQ(one.size(), 64U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(one, random_hex(32));
}

TEST(Secrets, AreTheSameOnlyAsAWhole) {
  EXPECT_TRUE(same_secret("abc", "abc"));
  for (const char* other : {"", "ab", "abd", "bbc", "abcd"}) EXPECT_FALSE(same_secret("abc", other)) << other;
}

TEST(Secrets, AreKeptInFilesOfTheirOwnersAlone) {
  const test::ScratchFolder folder;
  const fs::path file = folder / "secret";
  EXPECT_THROW(require_private(file), Error);
  std::ofstream(file) << "x";
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
  require_private(file);
  for (const fs::perms more : {fs::perms::group_read, fs::perms::others_read, fs::perms::group_write}) {
    fs::permissions(file, fs::perms::owner_read | more);
    EXPECT_THROW(require_private(file), Error);
  }
}

}  // namespace
}  // namespace troupe
