#include "data/corpus/text_file.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tests/data/expect_error.h"
#include "tests/data/sources/packed.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

using test::ScratchFolder;

TEST(TextFile, ReadsPlainAndPackedFilesAlike) {
  const test::ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "line " + std::to_string(i) + "\n";
  write_file_atomically(folder / "a.txt", text);
  write_file_atomically(folder / "b.gz", gzip(text.substr(0, 1000)) + gzip(text.substr(1000)));
  write_file_atomically(folder / "c.zst", zstd(text));
  write_file_atomically(folder / "d.xz", xz(text));
  for (const char* name : {"a.txt", "b.gz", "c.zst", "d.xz"})
    EXPECT_EQ(read_text_file(folder / name, TextFormat::kText), text) << name;
}

TEST(TextFile, ReadsHtml) {
  const test::ScratchFolder folder;
  write_file_atomically(folder / "a.html", "<p>caf&eacute;</p>");
  EXPECT_EQ(read_text_file(folder / "a.html", TextFormat::kHtml), "café\n");
}

TEST(TextFile, RefusesWhatIsDamagedOrCutOffOrUnpacksToTooMuch) {
  const test::ScratchFolder folder;
  const std::string packed = gzip(std::string(10'000'000, 'a'));
  EXPECT_LT(packed.size(), 100'000U);
  write_file_atomically(folder / "a.gz", packed);
  expect_error(ErrorCode::kCorrupt, "more than 1000000 bytes",
               [&] { (void)read_unpacked(folder / "a.gz", 1'000'000); });
  write_file_atomically(folder / "b.gz", packed.substr(0, packed.size() - 1));
  expect_error(ErrorCode::kCorrupt, "b.gz: damaged gzip", [&] { (void)read_unpacked(folder / "b.gz"); });
}

TEST(TextFile, GivesNothingForWhatIsNoText) {
  EXPECT_EQ(detail::normalise_text("caf\xE9\n"), std::nullopt);
  EXPECT_EQ(detail::normalise_text(std::string_view("a\0b", 3)), std::nullopt);
}

TEST(TextFile, NormalisesLineEndsAndSpaceBeforeThem) {
  EXPECT_EQ(detail::normalise_text("\xEF\xBB\xBF"
                                   "a \t\r\n\r\n b\nc"),
            "a\n\n b\nc\n");
  EXPECT_EQ(detail::normalise_text(""), "");
}

}  // namespace
}  // namespace troupe::data
