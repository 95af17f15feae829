#include "data/corpus/text_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "base/file.h"
#include "data/corpus/utf8.h"
#include "tests/data/expect_error.h"
#include "tests/storage/scratch_folder.h"

namespace troupe::data {
namespace {

using storage::ScratchFolder;

std::string gzip(const std::string& text, const std::filesystem::path& scratch) {
  gzFile file = ::gzopen(scratch.c_str(), "wb");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(::gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  EXPECT_EQ(::gzclose(file), Z_OK);
  return read_file(scratch, 1 << 24);
}

TEST(TextFile, ReadsPlainAndCompressedFilesAlike) {
  const ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 50000; ++i) text += "line " + std::to_string(i) + "\n";
  write_file_atomically(folder / "a.txt", text);
  write_file_atomically(folder / "b.gz", gzip(text, folder / "scratch"));
  EXPECT_EQ(read_text_file(folder / "a.txt", TextFormat::kText), text);
  EXPECT_EQ(read_text_file(folder / "b.gz", TextFormat::kText), text);
}

TEST(TextFile, ReadsSeveralGzipMembersAsOne) {
  const ScratchFolder folder;
  const std::string packed = gzip("first\n", folder / "a") + gzip("second\n", folder / "b");
  EXPECT_EQ(detail::gunzip(packed, 1000, "x"), "first\nsecond\n");
}

TEST(TextFile, ReadsHtml) {
  const ScratchFolder folder;
  write_file_atomically(folder / "a.html", "<p>caf&eacute;</p>");
  EXPECT_EQ(read_text_file(folder / "a.html", TextFormat::kHtml), "café\n");
}

TEST(TextFile, RefusesGzipThatIsDamagedOrCutOff) {
  const ScratchFolder folder;
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
  const ScratchFolder folder;
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

TEST(Utf8, AcceptsExactlyWellFormedText) {
  for (const std::string_view good :
       {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
    EXPECT_FALSE(is_valid_utf8("a" + std::string(bad)));
  }
}

TEST(Utf8, AppendsEveryLengthAndRefusesWhatIsNoCodePoint) {
  std::string text;
  for (const std::uint32_t code_point : {0x24U, 0xA2U, 0x20ACU, 0x10348U})
    EXPECT_TRUE(append_utf8(code_point, text));
  EXPECT_EQ(text, "$¢€\xF0\x90\x8D\x88");
  EXPECT_FALSE(append_utf8(0xD800, text));
  EXPECT_FALSE(append_utf8(0x110000, text));
  EXPECT_EQ(text.size(), 10U);
}

}  // namespace
}  // namespace troupe::data
