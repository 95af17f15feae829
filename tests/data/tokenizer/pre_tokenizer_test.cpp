#include "data/tokenizer/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view text) {
  Words words;
  PreTokenizer().for_each_word(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

/// All matches of a pattern, by PCRE2.
class Oracle {
 public:
  explicit Oracle(std::string_view pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
    TROUPE_CHECK(code_ != nullptr, "PCRE2 error {} at {}", error, offset);
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  Words words_of(std::string_view text) const {
    Words words;
    for (std::size_t begin = 0; begin < text.size();) {
      // The first call has checked the text.
      const std::uint32_t options = begin == 0 ? 0 : PCRE2_NO_UTF_CHECK;
      const int count = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                    begin, options | PCRE2_ANCHORED, match_.get(), nullptr);
      TROUPE_CHECK(count > 0, "PCRE2 match: {} at byte {}", count, begin);
      const std::size_t end = pcre2_get_ovector_pointer(match_.get())[1];
      words.emplace_back(text.substr(begin, end - begin));
      begin = end;
    }
    return words;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

TEST(PreTokenizer, CutsAsThePatternSays) {
  EXPECT_EQ(words_of(""), Words{});
  EXPECT_EQ(words_of("Hello world"), (Words{"Hello", " world"}));
  EXPECT_EQ(words_of("don't we'LL"), (Words{"don", "'t", " we", "'", "LL"}));
  EXPECT_EQ(words_of("'re 're"), (Words{"'re", " '", "re"}));
  EXPECT_EQ(words_of("a  b"), (Words{"a", " ", " b"}));
  EXPECT_EQ(words_of("a\n\nb"), (Words{"a", "\n", "\n", "b"}));
  EXPECT_EQ(words_of("a \n "), (Words{"a", " \n "}));
  EXPECT_EQ(words_of("x=12.5!"), (Words{"x", "=", "12", ".", "5", "!"}));
  EXPECT_EQ(words_of("a\u00A0b"), (Words{"a", "\u00A0", "b"}));
  EXPECT_EQ(words_of("今天 ٣٤"), (Words{"今天", " ٣٤"}));
}

TEST(PreTokenizer, AgreesWithThePatternInPcre2OnTheCommittedTexts) {
  const Oracle oracle(kGpt2Pattern);
  for (const std::string& text : committed_texts()) {
    EXPECT_EQ(words_of(text), oracle.words_of(text)) << text.substr(0, 60);
  }
}

TEST(PreTokenizer, AgreesWithThePatternInPcre2OnRandomTextOfManyScripts) {
  const Oracle oracle(kGpt2Pattern);
  const Random random(1, RandomPurpose::kTest);
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const std::string text = random_text(random, seed, 1 + seed % 60);
    ASSERT_EQ(words_of(text), oracle.words_of(text)) << "seed " << seed;
  }
}

// PCRE2's \s has U+180E for the sake of old Perl; Unicode's White_Space lost it in 6.3.
TEST(PreTokenizer, AgreesWithPcre2OnEveryCodePoint) {
  char version[24] = {};
  ASSERT_LT(pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version), static_cast<int>(sizeof version));
  if (std::string_view(version) != "14.0.0")
    GTEST_SKIP() << "PCRE2 has Unicode " << version << ", this table 14.0.0";
  const Oracle oracle(kGpt2Pattern);
  std::string text;
  for (std::uint32_t code_point = 1; code_point <= 0x10FFFF; ++code_point) {
    if ((code_point >= 0xD800 && code_point < 0xE000) || code_point == 0x180E) continue;
    text += utf8(code_point) + "a" + utf8(code_point) + "1" + utf8(code_point) + "!";
    if (text.size() < 4096) continue;
    ASSERT_EQ(words_of(text), oracle.words_of(text)) << "up to code point " << code_point;
    text.clear();
  }
}

TEST(PreTokenizer, CutsInvalidBytesLikePunctuation) {
  const std::string_view pieces[] = {"a", "é", " ", "\n", "7", "'s", "今", "\u3000"};
  // No two of these make a valid character together.
  const std::string_view invalid[] = {"\xC0", "\xE4\xB8", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF\x80"};
  const Random random(2, RandomPurpose::kTest);
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::string text;
    std::string readable;
    for (std::uint64_t i = 0; i < 20; ++i) {
      const auto words = random.words(seed << 32 | i);
      const bool valid = words[0] % 2 == 0;
      const std::string_view piece =
          valid ? pieces[words[1] % std::size(pieces)] : invalid[words[1] % std::size(invalid)];
      text += piece;
      readable += valid ? std::string(piece) : std::string(piece.size(), '!');
    }
    std::vector<std::size_t> sizes, expected;
    for (const std::string& word : words_of(text)) sizes.push_back(word.size());
    for (const std::string& word : words_of(readable)) expected.push_back(word.size());
    ASSERT_EQ(sizes, expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace troupe::data
