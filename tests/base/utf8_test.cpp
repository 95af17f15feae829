#include "base/utf8.h"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Utf8, AcceptsExactlyWellFormedText) {
  for (const std::string_view good :
       {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2 ", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_utf8(bad));
    EXPECT_FALSE(is_utf8("a" + std::string(bad)));
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

TEST(Utf8, ReplacesOnlyWrongBytes) {
  EXPECT_EQ(to_utf8("a\xFF\xC3\xBC\xC3"), "a\xEF\xBF\xBD\xC3\xBC\xEF\xBF\xBD");
}

TEST(Utf8, TellsHowLongTheFirstCharacterIs) {
  EXPECT_EQ(utf8_character_bytes(""), 0U);
  EXPECT_EQ(utf8_character_bytes("ab"), 1U);
  EXPECT_EQ(utf8_character_bytes("\xC3\xBC!"), 2U);
  EXPECT_EQ(utf8_character_bytes("\xF0\x9F\x8C\x8D"), 4U);
  EXPECT_EQ(utf8_character_bytes("\xF0\x9F\x8C"), 0U) << "cut";
}

}  // namespace
}  // namespace troupe
