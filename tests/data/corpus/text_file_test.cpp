#include "data/corpus/text_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/file.h"
#include "base/utf8.h"
#include "tests/data/expect_error.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

using test::ScratchFolder;

std::string gzip(const std::string& text, const std::filesystem::path& scratch) {
  gzFile file = ::gzopen(scratch.c_str(), "wb");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(::gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  EXPECT_EQ(::gzclose(file), Z_OK);
  return read_file(scratch, 1 << 24);
}

TEST(TextFile, ReadsPlainAndCompressedFilesAlike) {
  const test::ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "line " + std::to_string(i) + "\n";
  write_file_atomically(folder / "a.txt", text);
  write_file_atomically(folder / "b.gz", gzip(text, folder / "scratch"));
  EXPECT_EQ(read_text_file(folder / "a.txt", TextFormat::kText), text);
  EXPECT_EQ(read_text_file(folder / "b.gz", TextFormat::kText), text);
}

TEST(TextFile, ReadsSeveralGzipMembersAsOne) {
  const test::ScratchFolder folder;
  const std::string packed = gzip("first\n", folder / "a") + gzip("second\n", folder / "b");
  EXPECT_EQ(detail::gunzip(packed, 1000, "x"), "first\nsecond\n");
}

TEST(TextFile, ReadsHtml) {
  const test::ScratchFolder folder;
  write_file_atomically(folder / "a.html", "<p>caf&eacute;</p>");
  EXPECT_EQ(read_text_file(folder / "a.html", TextFormat::kHtml), "café\n");
}

TEST(TextFile, RefusesGzipThatIsDamagedOrCutOff) {
  const test::ScratchFolder folder;
  const std::string packed = gzip(std::string(10000, 'a') + "b", folder / "a");
  for (const std::size_t size : {std::size_t{3}, std::size_t{12}, packed.size() - 1}) {
    expect_error(ErrorCode::kCorrupt, "name: damaged gzip",
                 [&] { (void)detail::gunzip(packed.substr(0, size), 1 << 20, "name"); });
  }
  std::string flipped = packed;
  flipped[flipped.size() - 6] ^= 1;  // in the checksum
  expect_error(ErrorCode::kCorrupt, "damaged gzip", [&] { (void)detail::gunzip(flipped, 1 << 20, "name"); });
}

TEST(TextFile, RefusesGzipThatUnpacksToTooMuch) {
  const test::ScratchFolder folder;
  const std::string packed = gzip(std::string(10'000'000, 'a'), folder / "a");
  EXPECT_LT(packed.size(), 100'000U);
  expect_error(ErrorCode::kCorrupt, "more than 1000000 bytes",
               [&] { (void)detail::gunzip(packed, 1'000'000, "x"); });
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
