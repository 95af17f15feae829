#include "data/corpus/collect.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

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
    for (const fs::path& file : matching_files(folder_.path(), patterns).files) {
      names.push_back(file.lexically_relative(folder_.path()).string());
    }
    return names;
  }

  test::ScratchFolder folder_;
};

TEST_F(CollectTest, MatchesPathsInsideAndSortsThem) {
  for (const char* file : {"b/x.h", "a/y.h", "a/deep/z.h", "a/y.c", "top.h"}) write(file, "x");
  EXPECT_EQ(matching({"a/*.h"}), (std::vector<std::string>{"a/deep/z.h", "a/y.h"}));
  EXPECT_EQ(matching({"top.h", "*.c"}), (std::vector<std::string>{"a/y.c", "top.h"}));
  EXPECT_EQ(matching({"a/[!d]*.h"}), (std::vector<std::string>{"a/y.h"}));
  EXPECT_TRUE(matching({"*.txt"}).empty());
}

TEST_F(CollectTest, TwoStarsMatchFoldersAndNone) {
  for (const char* file : {"top.h", "a/y.h", "a/deep/z.h", "b/c/w.h"}) write(file, "x");
  EXPECT_EQ(matching({"**/*.h"}), (std::vector<std::string>{"a/deep/z.h", "a/y.h", "b/c/w.h", "top.h"}));
  EXPECT_EQ(matching({"a/**/y.h"}), (std::vector<std::string>{"a/y.h"}));
  EXPECT_EQ(matching({"b/**/w.h"}), (std::vector<std::string>{"b/c/w.h"}));
}

TEST_F(CollectTest, FollowsLinksButNotInCirclesOrToNowhere) {
  write("real/a.txt", "x");
  write("elsewhere/b.dat", "y");
  fs::create_symlink(folder_ / "elsewhere/b.dat", folder_ / "link.txt");
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "linked");
  fs::create_directory_symlink(folder_.path(), folder_ / "real/back");
  fs::create_symlink(folder_ / "missing.txt", folder_ / "dangling.txt");
  EXPECT_EQ(matching({"*.txt"}), (std::vector<std::string>{"link.txt", "real/a.txt"}));
  EXPECT_EQ(matching({"*.dat"}), (std::vector<std::string>{"elsewhere/b.dat", "linked/b.dat"}));
  EXPECT_EQ(matching_files(folder_.path(), {"*.txt"}).broken_links,
            (std::vector<fs::path>{folder_ / "dangling.txt"}));
  EXPECT_EQ(matching_files(folder_.path(), {"*.txt"}, Links::kIgnore).files.size(), 1U);
}

/// Sources of one domain, on line 12 of a description.
class CollectDocumentsTest : public CollectTest {
 protected:
  CollectDocumentsTest() {
    description_.file = "corpus.yaml";
    source_.domain = "books";
    source_.files = {"*"};
    source_.line = 12;
  }
  [[nodiscard]] CollectedDocuments collect() const {
    return collect_documents(description_, source_, folder_.path(), 3);
  }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> result;
    for (const Document& document : collect().documents) result.push_back(document.text);
    return result;
  }

  CorpusDescription description_;
  CorpusSource source_;
};

TEST_F(CollectDocumentsTest, NamesFilesThatAreNoText) {
  write("a.txt", "good\n");
  write("b.txt", "bad \xFF\n");
  const CollectedDocuments collected = collect();
  ASSERT_EQ(collected.documents.size(), 1U);
  EXPECT_EQ(collected.documents[0].text, "good\n");
  EXPECT_EQ(collected.documents[0].domain, 3);
  ASSERT_EQ(collected.notices.size(), 1U);
  EXPECT_NE(collected.notices[0].find("books: left out 1 of 2 files that are not UTF-8 text: "),
            std::string::npos);
  EXPECT_NE(collected.notices[0].find("b.txt"), std::string::npos);
}

TEST_F(CollectDocumentsTest, NamesLinksThatLeadNowhere) {
  write("a.txt", "good\n");
  fs::create_symlink("missing", folder_ / "b.txt");
  ASSERT_EQ(collect().notices.size(), 1U);
  EXPECT_NE(collect().notices[0].find("left out 1 links that lead nowhere: "), std::string::npos);
  fs::remove(folder_ / "a.txt");
  expect_error(ErrorCode::kConfig, "of links that lead nowhere: ", [&] { (void)collect(); });
}

TEST_F(CollectDocumentsTest, SaysThatASeparatorNeverMatches) {
  write("a.txt", "one\n%%\ntwo\n");
  source_.separator = "%%";
  EXPECT_TRUE(collect().notices.empty());
  EXPECT_EQ(texts(), (std::vector<std::string>{"one\n", "two\n"}));
  source_.separator = "%";
  ASSERT_EQ(collect().notices.size(), 1U);
  EXPECT_NE(collect().notices[0].find("no line of its files is the separator '%' (line 12 of corpus.yaml)"),
            std::string::npos);
}

TEST_F(CollectDocumentsTest, JsonLinesAreReadAsSuchByNameOrByFormat) {
  const std::string lines =
      "{\"id\":1,\"text\":\"first\\nline\"}\n\n{\"text\":7}\nno json\n{\"body\":\"b\",\"text\":\"\"}\n";
  write("a.jsonl", lines);
  EXPECT_EQ(texts(), (std::vector<std::string>{"first\nline\n"}));
  ASSERT_EQ(collect().notices.size(), 2U);
  EXPECT_NE(collect().notices[1].find("left out 1 texts in which nothing is"), std::string::npos);
  EXPECT_NE(collect().notices[0].find("left out 2 lines, the first "), std::string::npos);
  EXPECT_NE(collect().notices[0].find("a.jsonl:3: no text in 'text'"), std::string::npos);
  fs::rename(folder_ / "a.jsonl", folder_ / "a.txt");
  EXPECT_EQ(texts(), (std::vector<std::string>{lines}));
  source_.format = TextFormat::kJsonLines;
  source_.text_field = "body";
  EXPECT_EQ(texts(), (std::vector<std::string>{"b\n"}));
  write("a.txt", "{\"body\":\"c\"}\n{\"body\":\"d\\u0000\"}\n");
  EXPECT_EQ(texts(), (std::vector<std::string>{"c\n"}));
  ASSERT_EQ(collect().notices.size(), 1U);
  EXPECT_NE(collect().notices[0].find("left out 1 lines with NUL bytes, the first "), std::string::npos);
}

TEST_F(CollectDocumentsTest, NamesTheLineOfASourceWithoutFiles) {
  write("a.txt", "good\n");
  source_.files = {"*.html"};
  expect_error(ErrorCode::kConfig, "corpus.yaml:12: no file", [&] { (void)collect(); });
  expect_error(ErrorCode::kConfig, "there is no folder",
               [&] { (void)collect_documents(description_, source_, folder_ / "missing", 0); });
}

}  // namespace
}  // namespace troupe::data
