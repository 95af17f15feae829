#include "data/tokenizer/unicode.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

struct Sample {
  std::uint32_t code_point;
  CharacterClass kind;
};

TEST(CharacterReader, KnowsTheClassesOfManyScripts) {
  constexpr auto kLetter = CharacterClass::kLetter;
  constexpr auto kNumber = CharacterClass::kNumber;
  constexpr auto kSpace = CharacterClass::kSpace;
  constexpr auto kOther = CharacterClass::kOther;
  const CharacterReader reader;
  const Sample samples[] = {{'a', kLetter},     {'_', kOther},      {'7', kNumber},     {' ', kSpace},
                            {0x0B, kSpace},     {0x1C, kOther},     {0x85, kSpace},     {0xA0, kSpace},
                            {0xAA, kLetter},    {0xB2, kNumber},    {0x301, kOther},    {0x663, kNumber},
                            {0x4E2D, kLetter},  {0x3007, kNumber},  {0x180E, kOther},   {0x200B, kOther},
                            {0x2028, kSpace},   {0x3000, kSpace},   {0xFEFF, kOther},   {0x1F600, kOther},
                            {0x1D7D8, kNumber}, {0x20000, kLetter}, {0x10FFFF, kOther}, {0xE000, kOther}};
  for (const Sample& sample : samples) {
    const std::string text = utf8(sample.code_point);
    const Character character = reader.at(text, 0);
    EXPECT_EQ(character.kind, sample.kind) << std::hex << sample.code_point;
    EXPECT_EQ(character.bytes, text.size()) << std::hex << sample.code_point;
  }
}

TEST(CharacterReader, TakesEachByteOfAnInvalidSequenceByItself) {
  const CharacterReader reader;
  const std::vector<std::string> invalid = {"\x80",
                                            "\xBF",
                                            "\xC0\x80",
                                            "\xC1\xBF",  // stray and overlong
                                            "\xE0\x80\x80",
                                            "\xE0\x9F\xBF",
                                            "\xF0\x80\x80\x80",
                                            "\xF0\x8F\xBF\xBF",
                                            "\xED\xA0\x80",
                                            "\xED\xBF\xBF",  // surrogates
                                            "\xF4\x90\x80\x80",
                                            "\xF5\x80\x80\x80",
                                            "\xFF",
                                            "\xFE",  // above U+10FFFF
                                            "\xC3",
                                            "\xE4\xB8",
                                            "\xF0\x9F\x98"};  // the end is missing
  for (const std::string& bytes : invalid) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const Character character = reader.at(bytes, i);
      EXPECT_EQ(character.bytes, 1) << i;
      EXPECT_EQ(character.kind, CharacterClass::kOther) << i;
    }
  }
}

TEST(CharacterReader, SeesTheValidCharacterAfterATruncatedOne) {
  const CharacterReader reader;
  const std::string text = "\xE4\xB8\xC3\xA9";  // two bytes of three, then é
  EXPECT_EQ(reader.at(text, 0).bytes, 1);
  EXPECT_EQ(reader.at(text, 1).bytes, 1);
  EXPECT_EQ(reader.at(text, 2).bytes, 2);
  EXPECT_EQ(reader.at(text, 2).kind, CharacterClass::kLetter);
}

}  // namespace
}  // namespace troupe::data
