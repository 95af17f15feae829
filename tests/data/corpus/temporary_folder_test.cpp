#include "data/corpus/temporary_folder.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

class TemporaryFolderTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }
  void make(const std::string& name) {
    fs::create_directories(folder_ / name);
    write_file_atomically(folder_ / name / name, name);
  }

  test::ScratchFolder folder_;
};

TEST_F(TemporaryFolderTest, LeavesNothingBehind) {
  {
    const TemporaryFolder temporary(folder_ / "new");
    write_file_atomically(temporary.path() / "file", "x");
    EXPECT_EQ(entries(), 1U);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(TemporaryFolderTest, BecomesTheTargetWhetherThatExistsOrNot) {
  for (const char* content : {"first", "second"}) {
    TemporaryFolder temporary(folder_ / "new");
    write_file_atomically(temporary.path() / content, content);
    temporary.publish(folder_ / "target");
    EXPECT_TRUE(fs::exists(folder_ / "target" / content));
  }
  EXPECT_FALSE(fs::exists(folder_ / "target" / "first"));
  EXPECT_EQ(entries(), 1U);
}

TEST_F(TemporaryFolderTest, ReplacesInTwoStepsWhereFoldersCannotBeExchanged) {
  make("new");
  make("target");
  detail::replace_in_two_steps(folder_ / "new", folder_ / "target");
  EXPECT_TRUE(fs::exists(folder_ / "target" / "new"));
  EXPECT_FALSE(fs::exists(folder_ / "target" / "target"));
  EXPECT_EQ(entries(), 1U);
}

}  // namespace
}  // namespace troupe::data
