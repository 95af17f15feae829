#include "data/tokenizer/encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/word_merger.h"
#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

TEST(Tokenizer, EveryTextComesBack) {
  const Tokenizer& tokenizer = small_tokenizer();
  for (const std::string& text : committed_texts()) {
    const std::vector<TokenId> tokens = tokenizer.encode(text);
    EXPECT_LT(tokens.size(), text.size() * 3 / 4);
    EXPECT_EQ(tokenizer.decode(tokens), text);
  }
}

TEST(Tokenizer, AnyBytesComeBack) {
  const Random random(3, RandomPurpose::kTest);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::string bytes = random_bytes(random, seed, seed);
    EXPECT_EQ(small_tokenizer().decode(small_tokenizer().encode(bytes)), bytes);
  }
}

TEST(Tokenizer, NeverMakesTheSpecialTokenFromText) {
  const Tokenizer& tokenizer = small_tokenizer();
  const std::vector<TokenId> tokens = tokenizer.encode("a<|endoftext|>b");
  EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer.end_of_text()), 0);
  EXPECT_EQ(tokenizer.decode(tokens), "a<|endoftext|>b");
}

TEST(Tokenizer, OfSpecialNamesThatBeginAlikeTheLongestIsTaken) {
  for (const bool longest_first : {false, true}) {
    std::vector<std::string> names{"<|a|>", "<|a|>b"};
    if (longest_first) std::swap(names[0], names[1]);
    const Tokenizer tokenizer(BpeTrainer({.vocab_size = 259, .special_tokens = names}).train());
    const TokenId longest = longest_first ? 257 : 258;
    EXPECT_EQ(tokenizer.encode("<|a|>b<|a|>", SpecialNames::kAreTokens),
              (std::vector<TokenId>{longest, 257 + 258 - longest}));
  }
}

TEST(Tokenizer, SpecialTokensDecodeToNothing) {
  const Tokenizer& tokenizer = small_tokenizer();
  EXPECT_TRUE(tokenizer.is_special(tokenizer.end_of_text()));
  EXPECT_EQ(tokenizer.token_bytes(tokenizer.end_of_text()), "");
  std::vector<TokenId> tokens = tokenizer.encode("end");
  tokens.insert(tokens.begin(), tokenizer.end_of_text());
  tokens.push_back(tokenizer.end_of_text());
  EXPECT_EQ(tokenizer.decode(tokens), "end");
}

TEST(Tokenizer, RefusesTokensOutsideTheVocabulary) {
  const Tokenizer& tokenizer = small_tokenizer();
  for (const TokenId token : {-1, tokenizer.vocab_size(), tokenizer.padded_vocab_size() - 1}) {
    EXPECT_THROW((void)tokenizer.decode(std::vector<TokenId>{token}), Error);
  }
}

TEST(Tokenizer, PadsTheVocabularyTo128) {
  EXPECT_EQ(small_tokenizer().vocab_size(), 600);
  EXPECT_EQ(small_tokenizer().padded_vocab_size(), 640);
  EXPECT_EQ(small_tokenizer().end_of_text(), 599);
}

TEST(WordMerger, ScanAndHeapAgree) {
  WordMerger merger(small_tokenizer());
  const Random random(4, RandomPurpose::kTest);
  const std::string texts = committed_texts()[2] + committed_texts()[5];  // runs of spaces, and prose
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const std::size_t begin = random.below(2 * i, texts.size());
    const std::string_view word = std::string_view(texts).substr(begin, random.below(2 * i + 1, 120));
    std::vector<TokenId> by_scan, by_heap;
    merger.merge_by_scan(word, by_scan);
    merger.merge_by_heap(word, by_heap);
    ASSERT_EQ(by_scan, by_heap) << word;
  }
}

TEST(Encoder, AppendsToWhatIsThere) {
  Encoder encoder(small_tokenizer());
  std::vector<TokenId> tokens = {7};
  encoder.encode("a b", tokens);
  EXPECT_EQ(tokens[0], 7);
  tokens.erase(tokens.begin());
  EXPECT_EQ(small_tokenizer().decode(tokens), "a b");
}

// More words than it remembers: it forgets in between, and gives what an encoder without memory gives.
TEST(Encoder, WhatItRemembersNeverChangesAResult) {
  Encoder encoder(small_tokenizer());
  WordMerger merger(small_tokenizer());
  std::vector<TokenId> tokens, expected;
  for (int i = 0; i < 300'000; ++i) {
    const std::string word = " w" + std::string(1, static_cast<char>('a' + i % 26)) +
                             utf8(0x4E00 + static_cast<std::uint32_t>(i) / 26);
    tokens.clear();
    expected.clear();
    encoder.encode(word, tokens);
    encoder.encode(" the", tokens);
    merger.merge(word, expected);
    merger.merge(" the", expected);
    ASSERT_EQ(tokens, expected) << word;
  }
}

}  // namespace
}  // namespace troupe::data
