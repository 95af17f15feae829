// Tokenizers of every published kind against Hugging Face's `tokenizers` on 2000 hard strings
// (generate_kinds.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::data {
namespace {

const std::string kFolder = TROUPE_SOURCE_DIR "/tests/data/tokenizer/kinds/";
constexpr int kStrings = 2000;

const nlohmann::json& expectations() {
  static const nlohmann::json value = nlohmann::json::parse(read_file(kFolder + "hashes.json", 1 << 20));
  return value;
}

/// As generate_kinds.py puts them together.
const std::vector<std::string>& hard_strings() {
  static const std::vector<std::string> strings = [] {
    const auto pieces = expectations()["pieces"].get<std::vector<std::string>>();
    std::uint64_t state = 1;
    const auto next = [&] {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      return state >> 33;
    };
    std::vector<std::string> result;
    for (int i = 0; i < kStrings; ++i) {
      std::string text;
      for (auto count = next() % 12 + 1; count > 0; --count) text += pieces[next() % pieces.size()];
      result.push_back(text);
    }
    return result;
  }();
  return strings;
}

class Kind : public ::testing::TestWithParam<const char*> {
 protected:
  Tokenizer tokenizer_ = read_tokenizer_json(kFolder + std::string(GetParam()) + ".json");

  /// One for each group of strings.
  [[nodiscard]] std::vector<std::string> hashes(SpecialNames names) const {
    constexpr std::uint64_t kBasis = 0xCBF29CE484222325ULL;
    const auto group = expectations()["group"].get<std::size_t>();
    Encoder encoder(tokenizer_, names);
    std::vector<std::string> result;
    std::uint64_t value = kBasis;
    for (std::size_t i = 0; i < hard_strings().size(); ++i) {
      std::vector<TokenId> tokens;
      encoder.encode(hard_strings()[i], tokens);
      tokens.push_back(-1);
      for (const TokenId token : tokens)
        value = (value ^ static_cast<std::uint32_t>(token)) * 0x100000001B3ULL;
      if ((i + 1) % group != 0) continue;
      result.push_back(fmt::format("{:016x}", value));
      value = kBasis;
    }
    return result;
  }
};

TEST_P(Kind, EncodesHardStringsTheSame) {
  const nlohmann::json& expected = expectations()["kinds"][GetParam()];
  EXPECT_EQ(hashes(SpecialNames::kAreText), expected["as_text"].get<std::vector<std::string>>());
  EXPECT_EQ(hashes(SpecialNames::kAreTokens), expected["as_tokens"].get<std::vector<std::string>>());
}

TEST_P(Kind, GivesTheTextBack) {
  if (tokenizer_.rules().compose || tokenizer_.rules().byte_fallback) return;
  for (std::string text : hard_strings()) {
    text += "\xFF\xC0";  // no UTF-8
    EXPECT_EQ(tokenizer_.decode(tokenizer_.encode(text)), text);
  }
}

TEST_P(Kind, IsWrittenAsItWasRead) {
  if (tokenizer_.source().empty()) return;
  EXPECT_EQ(to_tokenizer_json(tokenizer_), read_file(kFolder + std::string(GetParam()) + ".json", 1 << 20));
}

INSTANTIATE_TEST_SUITE_P(Published, Kind,
                         ::testing::Values("gpt2", "llama3", "qwen", "o200k", "deepseek", "digits", "added",
                                           "llama2", "gemma"),
                         [](const auto& parameter) { return std::string(parameter.param); });

TEST(Kinds, KnowWhatBeginsAndEndsDocuments) {
  const auto read = [](const char* name) {
    return read_tokenizer_json(kFolder + std::string(name) + ".json");
  };
  EXPECT_EQ(read("llama3").begin_of_text(), 1);
  EXPECT_EQ(read("llama3").document_start(), 1);
  EXPECT_FALSE(read("qwen").begin_of_text());
  EXPECT_EQ(read("qwen").document_start(), read("qwen").end_of_text());
  EXPECT_EQ(read("llama2").vocabulary().end_of_text, "</s>");
}

TEST(Kinds, SentencePieceTextsComeBackWithoutTheSpaceInFront) {
  const Tokenizer llama2 = read_tokenizer_json(kFolder + "llama2.json");
  for (const char* text : {"Hello world", " two spaces  ", "今天 🇫🇷\n"})
    EXPECT_EQ(llama2.decode(llama2.encode(text)), text);
}

}  // namespace
}  // namespace troupe::data
