// What Hugging Face's `tokenizers` package says (generate_expectations.py), and whether we agree.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

const std::string kFolder = TROUPE_SOURCE_DIR "/tests/data/tokenizer/";

nlohmann::json expectations() {
  return nlohmann::json::parse(read_file(kFolder + "expectations.json", 1 << 20));
}

Tokenizer their_tokenizer() { return read_tokenizer_json(kFolder + "hugging_face.json"); }

std::vector<std::pair<std::string, std::string>> merged_bytes(const Vocabulary& vocabulary) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Merge& merge : vocabulary.merges) {
    pairs.emplace_back(vocabulary.tokens[static_cast<std::size_t>(merge.left)],
                       vocabulary.tokens[static_cast<std::size_t>(merge.right)]);
  }
  return pairs;
}

std::string without_space(std::size_t size) {
  std::uint64_t state = 1;
  std::string letters;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    letters += static_cast<char>('a' + (state >> 33) % 26);
  }
  return letters;
}

std::string fnv1a(const std::vector<TokenId>& ids) {
  std::uint64_t value = 0xCBF29CE484222325ULL;
  for (const TokenId id : ids) value = (value ^ static_cast<std::uint64_t>(id)) * 0x100000001B3ULL;
  return fmt::format("{:016x}", value);
}

TEST(HuggingFace, EncodesTheSame) {
  const Tokenizer tokenizer = their_tokenizer();
  const nlohmann::json cases = expectations()["cases"];
  ASSERT_GE(cases.size(), 20U);
  for (const auto& expected : cases) {
    const auto text = expected["text"].get<std::string>();
    const std::vector<TokenId> tokens = tokenizer.encode(text);
    EXPECT_EQ(tokens, expected["ids"].get<std::vector<TokenId>>()) << expected["name"];
    EXPECT_EQ(tokenizer.decode(tokens), text) << expected["name"];
  }
}

TEST(HuggingFace, EncodesAMegabyteWithoutASpaceTheSame) {
  const nlohmann::json expected = expectations()["without_space"];
  const std::vector<TokenId> tokens = their_tokenizer().encode(without_space(expected["bytes"]));
  EXPECT_EQ(tokens.size(), expected["tokens"].get<std::size_t>());
  EXPECT_EQ(fnv1a(tokens), expected["fnv1a"]);
}

TEST(HuggingFace, TrainsTheSameMerges) {
  BpeTrainer trainer({.vocab_size = 1000});
  for (const std::string& text : committed_texts()) trainer.add_document(text);
  EXPECT_EQ(merged_bytes(trainer.train()), merged_bytes(their_tokenizer().vocabulary()));
}

}  // namespace
}  // namespace troupe::data
