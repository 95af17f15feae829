#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <span>
#include <string_view>

#include "base/error.h"
#include "tests/base/file_limit.h"
#include "tests/scratch_folder.h"

namespace troupe {
namespace {

class FileTest : public ::testing::Test {
 protected:
  test::ScratchFolder folder_;
};

TEST_F(FileTest, AtomicWriteReplacesTheContentAndLeavesNothingElse) {
  write_file_atomically(folder_ / "a", "first");
  write_file_atomically(folder_ / "a", "second");
  EXPECT_EQ(read_file(folder_ / "a", 100), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, AtomicWriteThatFailsKeepsTheTargetAndRemovesItsTemporary) {
  std::filesystem::create_directories(folder_ / "a" / "inside");  // a folder cannot be replaced by a file
  EXPECT_THROW(write_file_atomically(folder_ / "a", "x"), Error);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "a" / "inside"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, AnAppendThatFailsHalfwayLeavesNoHalf) {
  const FileLimit limit(8);
  const auto file = FileDescriptor::open(folder_ / "a", O_WRONLY | O_CREAT | O_APPEND);
  append_all(file, std::as_bytes(std::span(std::string_view("12345\n"))), folder_ / "a");
  EXPECT_THROW(append_all(file, std::as_bytes(std::span(std::string_view("67890\n"))), folder_ / "a"), Error);
  EXPECT_EQ(read_file(folder_ / "a", 100), "12345\n");
}

TEST_F(FileTest, ReadRefusesAFileOverTheLimit) {
  write_file_atomically(folder_ / "a", "12345");
  EXPECT_THROW((void)read_file(folder_ / "a", 4), Error);
}

TEST_F(FileTest, OpenNamesTheMissingPath) {
  try {
    (void)read_file(folder_ / "missing", 4);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find("missing"), std::string::npos);
  }
}

}  // namespace
}  // namespace troupe
