#include "data/corpus/collect.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/data/expect_error.h"
#include "tests/storage/scratch_folder.h"

namespace troupe::data {
namespace {

namespace fs = std::filesystem;

class CollectTest : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& content) {
    fs::create_directories((folder_ / path).parent_path());
    write_file_atomically(folder_ / path, content);
  }
  [[nodiscard]] std::vector<std::string> matching(const std::vector<std::string>& patterns) const {
    std::vector<std::string> names;
    for (const fs::path& file : matching_files(folder_.path(), patterns)) {
      names.push_back(file.lexically_relative(folder_.path()).string());
    }
    return names;
  }

  storage::ScratchFolder folder_;
};

TEST_F(CollectTest, MatchesPathsInsideAndSortsThem) {
  for (const char* file : {"b/x.h", "a/y.h", "a/deep/z.h", "a/y.c", "top.h"}) write(file, "x");
  EXPECT_EQ(matching({"a/*.h"}), (std::vector<std::string>{"a/deep/z.h", "a/y.h"}));
  EXPECT_EQ(matching({"top.h", "*.c"}), (std::vector<std::string>{"a/y.c", "top.h"}));
  EXPECT_EQ(matching({"a/[!d]*.h"}), (std::vector<std::string>{"a/y.h"}));
  EXPECT_TRUE(matching({"*.txt"}).empty());
}

TEST_F(CollectTest, DoesNotFollowLinks) {
  write("real/a.txt", "x");
  fs::create_symlink("/etc/hostname", folder_ / "link.txt");
  fs::create_directory_symlink(folder_ / "real", folder_ / "other");
  EXPECT_EQ(matching({"*.txt"}), (std::vector<std::string>{"real/a.txt"}));
}

TEST_F(CollectTest, LeavesOutFilesThatAreNoText) {
  write("a.txt", "good\n");
  write("b.txt", "bad \xFF\n");
  CorpusDescription description;
  description.file = "corpus.yaml";
  CorpusSource source;
  source.files = {"*.txt"};
  source.line = 12;
  const auto documents = collect_documents(description, source, folder_.path(), 3);
  ASSERT_EQ(documents.size(), 1U);
  EXPECT_EQ(documents[0].text, "good\n");
  EXPECT_EQ(documents[0].domain, 3);
  source.files = {"*.html"};
  expect_error(ErrorCode::kConfig, "corpus.yaml:12: no file",
               [&] { (void)collect_documents(description, source, folder_.path(), 0); });
  expect_error(ErrorCode::kConfig, "there is no folder",
               [&] { (void)collect_documents(description, source, folder_ / "missing", 0); });
}

}  // namespace
}  // namespace troupe::data
