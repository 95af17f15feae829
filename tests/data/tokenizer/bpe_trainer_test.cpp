#include "data/tokenizer/bpe_trainer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/tokenizer/byte_alphabet.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

Vocabulary train(const std::vector<std::string>& documents, int vocab_size, std::int64_t minimum_count = 2) {
  BpeTrainer trainer({.vocab_size = vocab_size, .minimum_count = minimum_count});
  for (const std::string& document : documents) trainer.add_document(document);
  return trainer.train();
}

/// The learned tokens in order, without bytes and the special token.
std::vector<std::string> learned(const Vocabulary& vocabulary) {
  return {vocabulary.tokens.begin() + 256, vocabulary.tokens.end() - 1};
}

/// Training as the definition says it: recount every pair before every merge.
class PlainTrainer {
 public:
  explicit PlainTrainer(const std::vector<std::string>& words) {
    for (const std::uint8_t byte : bytes_in_alphabet_order())
      tokens_.emplace_back(1, static_cast<char>(byte));
    for (const std::string& word : words) {
      std::vector<TokenId> ids;
      for (const char byte : word) ids.push_back(id_of(std::string(1, byte)));
      words_.push_back(ids);
    }
  }

  std::vector<Merge> train(std::size_t tokens) {
    while (tokens_.size() < tokens && merge_once()) {
    }
    return merges_;
  }

 private:
  TokenId id_of(const std::string& bytes) {
    const auto found = std::find(tokens_.begin(), tokens_.end(), bytes);
    if (found != tokens_.end()) return static_cast<TokenId>(found - tokens_.begin());
    tokens_.push_back(bytes);
    return static_cast<TokenId>(tokens_.size() - 1);
  }

  bool merge_once() {
    std::map<std::pair<TokenId, TokenId>, int> counts;
    for (const auto& word : words_) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < 2) return false;
    const auto [left, right] = best->first;
    const TokenId result =
        id_of(tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)]);
    const Merge merge{left, right, result};
    if (std::find(merges_.begin(), merges_.end(), merge) == merges_.end()) merges_.push_back(merge);
    for (auto& word : words_) apply(merge, word);
    return true;
  }

  static void apply(const Merge& merge, std::vector<TokenId>& word) {
    for (std::size_t i = 0; i + 1 < word.size(); ++i) {
      if (word[i] != merge.left || word[i + 1] != merge.right) continue;
      word[i] = merge.result;
      word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }

  std::vector<std::string> tokens_;
  std::vector<std::vector<TokenId>> words_;
  std::vector<Merge> merges_;
};

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  // (l,o) 5, (o,w) 5, (space,l) 4, (e,r) 2, …: (l,o) wins the tie by its lower left id.
  EXPECT_EQ(learned(train({"low low low lower lower"}, 257 + 4)),
            (std::vector<std::string>{"lo", "low", " low", "er"}));
}

TEST(BpeTrainer, BreaksTiesByLowerIds) {
  EXPECT_EQ(learned(train({"dc\nba\ndc\nba"}, 258)), (std::vector<std::string>{"ba"}));
  EXPECT_EQ(learned(train({"ad\nac\nad\nac"}, 258)), (std::vector<std::string>{"ac"}));
}

TEST(BpeTrainer, NumbersBytesThenMergesThenEndOfText) {
  const Vocabulary vocabulary = train(committed_texts(), 300);
  ASSERT_EQ(vocabulary.tokens.size(), 300U);
  EXPECT_EQ(vocabulary.tokens[0], "!");
  EXPECT_EQ(vocabulary.specials, (std::vector<SpecialToken>{{299, "<|endoftext|>"}}));
  EXPECT_NO_THROW(check_vocabulary(vocabulary));
}

TEST(BpeTrainer, MergesAsTheDefinitionSays) {
  const Random random(5, RandomPurpose::kTest);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::vector<std::string> words;
    for (std::uint64_t i = 0; i < 12; ++i) {
      const auto numbers = random.words(seed << 32 | i);
      std::string word;
      // Two or three letters make runs ("aaaa") and tokens that two pairs make.
      for (std::uint32_t j = 0; j <= numbers[0] % 14; ++j)
        word += static_cast<char>('a' + (numbers[1 + j % 3] >> j) % (2 + seed % 2));
      words.push_back(word);
    }
    const std::size_t vocab_size = 257 + seed % 60;
    EXPECT_EQ(train(words, static_cast<int>(vocab_size)).merges, PlainTrainer(words).train(vocab_size - 1))
        << seed;
  }
}

TEST(BpeTrainer, DoesNotDependOnTheOrderOfDocuments) {
  std::vector<std::string> texts = committed_texts();
  const Vocabulary forward = train(texts, 500);
  std::reverse(texts.begin(), texts.end());
  EXPECT_EQ(train(texts, 500), forward);
}

TEST(BpeTrainer, StopsWhenNoPairIsFrequentEnough) {
  EXPECT_EQ(learned(train({"abab"}, 1000)), (std::vector<std::string>{"ab"}));
  EXPECT_EQ(learned(train({"abab"}, 1000, 3)), (std::vector<std::string>{}));
  EXPECT_EQ(learned(train({}, 1000)), (std::vector<std::string>{}));
}

TEST(BpeTrainer, CountsAMegabyteWithoutASpace) {
  std::string text;
  while (text.size() < 1'000'000) text += "abcdefgh";
  const std::vector<std::string> tokens = learned(train({text}, 270));
  EXPECT_EQ(tokens.front(), "ab");
  EXPECT_NE(std::find(tokens.begin(), tokens.end(), "abcdefgh"), tokens.end());
}

TEST(BpeTrainer, ForgetsTheRarestWordsWhenTheyFillItsMemory) {
  BpeTrainer trainer({.vocab_size = 260, .word_bytes = 64 * 1024});
  const Random random(6, RandomPurpose::kTest);
  for (std::uint64_t i = 0; i < 40'000; ++i) {
    trainer.add_document(fmt::format("n{} zq", random.bits(i)));
    ASSERT_LT(trainer.distinct_words(), 32 * 1024U);
  }
  EXPECT_TRUE(trainer.forgot_words());
  const std::vector<std::string> tokens = learned(trainer.train());
  EXPECT_NE(std::find(tokens.begin(), tokens.end(), "zq"), tokens.end());  // frequent, so never forgotten
}

TEST(BpeTrainer, KeepsEveryWordWhileThereIsRoom) {
  BpeTrainer trainer({});
  for (const std::string& text : committed_texts()) trainer.add_document(text);
  EXPECT_FALSE(trainer.forgot_words());
}

TEST(BpeTrainer, RefusesOptionsOutOfRange) {
  EXPECT_THROW(BpeTrainer({.vocab_size = 256}), Error);
  EXPECT_THROW(BpeTrainer({.vocab_size = 1 << 21}), Error);
  EXPECT_THROW(BpeTrainer({.minimum_count = 0}), Error);
  EXPECT_THROW(BpeTrainer({.word_bytes = 1}), Error);
  EXPECT_THROW(BpeTrainer({.begin_of_text = std::string(kEndOfText)}), Error);
}

}  // namespace
}  // namespace troupe::data
