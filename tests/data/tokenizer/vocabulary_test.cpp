#include "data/tokenizer/vocabulary.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>

#include "base/error.h"
#include "tests/data/tokenizer/test_text.h"

namespace troupe::data {
namespace {

struct Damage {
  const char* message;
  std::function<void(Vocabulary&)> apply;
};

TEST(Vocabulary, NamesWhatIsWrong) {
  const Damage damages[] = {
      {"a vocabulary of 0 tokens", [](Vocabulary& v) { v = {}; }},
      {"byte 0x21 is no token", [](Vocabulary& v) { v.tokens[0] = "not a byte"; }},
      {"tokens 0 and 1 are both", [](Vocabulary& v) { v.tokens[1] = v.tokens[0]; }},
      {"token 300 is empty", [](Vocabulary& v) { v.tokens[300].clear(); }},
      {"special and not empty", [](Vocabulary& v) { v.tokens.back() = "special text"; }},
      {"merge 3 names token -1", [](Vocabulary& v) { v.merges[3].left = -1; }},
      {"merge 3 names token 600", [](Vocabulary& v) { v.merges[3].right = 600; }},
      {"merge 3 names token 600", [](Vocabulary& v) { v.merges[3].result = 600; }},
      {"merge 3 names the special token 599", [](Vocabulary& v) { v.merges[3].left = 599; }},
      {"merge 4 joins tokens", [](Vocabulary& v) { v.merges[4].result = v.merges[5].result; }},
      {"merge 9 repeats the pair", [](Vocabulary& v) { v.merges[9] = v.merges[2]; }},
      {"no special token '<|endoftext|>'", [](Vocabulary& v) { v.specials[0].name = "<|end|>"; }},
      {"has id 600", [](Vocabulary& v) { v.specials[0].id = 600; }},
      {"has id -1", [](Vocabulary& v) { v.specials[0].id = -1; }},
      {"which is taken",
       [](Vocabulary& v) {
         v.specials.push_back({599, "<|other|>"});
       }},
      {"not its own",
       [](Vocabulary& v) {
         v.specials.push_back({600, v.specials[0].name});
         v.tokens.emplace_back();
       }},
  };
  for (const Damage& damage : damages) {
    Vocabulary vocabulary = small_tokenizer().vocabulary();
    damage.apply(vocabulary);
    try {
      check_vocabulary(vocabulary);
      ADD_FAILURE() << "accepted: " << damage.message;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      EXPECT_NE(std::string(error.what()).find(damage.message), std::string::npos) << error.what();
    }
  }
}

TEST(Vocabulary, HashChangesWithEveryPart) {
  const Vocabulary vocabulary = small_tokenizer().vocabulary();
  const std::string hash = hash_vocabulary(vocabulary);
  EXPECT_EQ(hash.size(), 32U);
  EXPECT_EQ(hash_vocabulary(vocabulary), hash);
  Vocabulary other = vocabulary;
  std::swap(other.merges[0], other.merges[1]);
  EXPECT_NE(hash_vocabulary(other), hash);
  other = vocabulary;
  std::swap(other.tokens[0], other.tokens[1]);
  EXPECT_NE(hash_vocabulary(other), hash);
  other = vocabulary;
  other.specials[0].name += "x";
  EXPECT_NE(hash_vocabulary(other), hash);
}

// Data and checkpoints store this hash: it must never change for the same content.
TEST(Vocabulary, HashStaysTheSameForever) {
  Vocabulary vocabulary;
  vocabulary.tokens = {"a", "b", "ab", ""};
  vocabulary.merges = {{0, 1, 2}};
  vocabulary.specials = {{3, "<|endoftext|>"}};
  EXPECT_EQ(hash_vocabulary(vocabulary), "502805965cdde8a1f38387805e1cfcb9");
}

}  // namespace
}  // namespace troupe::data
