#include "data/corpus/document.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace troupe::data {
namespace {

std::vector<std::string> split(std::string_view text, std::int64_t limit, std::string_view separator = "") {
  const auto pieces = split_documents(text, separator, limit);
  return {pieces.begin(), pieces.end()};
}

TEST(SplitDocuments, KeepsAShortFileWhole) {
  EXPECT_EQ(split("a\n\nb\n", 100), (std::vector<std::string>{"a\n\nb\n"}));
}

TEST(SplitDocuments, CutsALongFileAtTheLastBlankLineInsideTheLimit) {
  EXPECT_EQ(split("aa\n\nbb\n\ncc\ncc\n\ndd\n", 10),
            (std::vector<std::string>{"aa\n\nbb\n", "cc\ncc\n", "dd\n"}));
}

TEST(SplitDocuments, CutsAtALineEndWhenThereIsNoBlankLine) {
  EXPECT_EQ(split("aaaa\nbbbb\ncccc\n", 11), (std::vector<std::string>{"aaaa\nbbbb\n", "cccc\n"}));
}

TEST(SplitDocuments, CutsBetweenCharactersWhenThereIsNoLineEnd) {
  const auto pieces = split("éééééééé", 5);
  ASSERT_EQ(pieces.size(), 4U);
  for (const std::string& piece : pieces) EXPECT_EQ(piece, "éé");
}

TEST(SplitDocuments, NeverExceedsTheLimitNorLosesText) {
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += std::string(static_cast<std::size_t>(i % 37), 'x') + (i % 11 == 0 ? "\n\n" : "é\n");
  std::string joined;
  for (const std::string& piece : split(text, 64)) {
    EXPECT_LE(piece.size(), 64U);
    EXPECT_TRUE(is_utf8(piece));
    joined += piece;
  }
  std::erase(text, '\n');
  std::erase(joined, '\n');
  EXPECT_EQ(joined, text);
}

TEST(SplitDocuments, SeparatesAtSeparatorLinesOnly) {
  EXPECT_EQ(split("a %%\n%%\n%%\nb\n%%%\nc\n%%", 100, "%%"),
            (std::vector<std::string>{"a %%\n", "b\n%%%\nc\n"}));
}

TEST(SplitDocuments, LeavesOutWhatIsBlank) {
  EXPECT_TRUE(split("", 100).empty());
  EXPECT_TRUE(split("\n \n\n\t\n", 100).empty());
}

TEST(ContentHash, TellsTextsAndSeedsApart) {
  EXPECT_EQ(content_hash("a"), content_hash("a"));
  EXPECT_NE(content_hash("a"), content_hash("b"));
  EXPECT_NE(content_hash("a", 0), content_hash("a", 1));
}

}  // namespace
}  // namespace troupe::data
