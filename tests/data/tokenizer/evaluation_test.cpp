#include "data/tokenizer/evaluation.h"

#include <gtest/gtest.h>

#include "data/tokenizer/bpe_trainer.h"

namespace troupe::data {
namespace {

/// Knows " ab" and "ab", and bytes besides.
Tokenizer ab_tokenizer() {
  BpeTrainer trainer({});
  trainer.add_document("ab ab ab ab");
  return Tokenizer(trainer.train());
}

TEST(ScoreText, CountsWordsAndTheirTokens) {
  const Tokenizer tokenizer = ab_tokenizer();
  Encoder encoder(tokenizer);
  // Tokens: "ab", " ab", "\n", "ab", "c", " ", " ab"
  const TokenizerScore score = score_text(encoder, "ab ab\nabc  ab");
  EXPECT_EQ(score,
            (TokenizerScore{.bytes = 13, .tokens = 7, .words = 4, .word_tokens = 5, .continued_words = 1}));
  EXPECT_DOUBLE_EQ(score.bytes_per_token(), 13.0 / 7);
  EXPECT_DOUBLE_EQ(score.fertility(), 5.0 / 4);
  EXPECT_DOUBLE_EQ(score.continued_proportion(), 1.0 / 4);
}

TEST(ScoreText, FindsWordsWithoutSpaces) {
  const Tokenizer tokenizer = ab_tokenizer();
  Encoder encoder(tokenizer);
  EXPECT_EQ(score_text(encoder, "今天天气很好，我们去图书馆。").words, 7);  // 今天 天气 很好 我们 去 图书 馆
  EXPECT_EQ(score_text(encoder, "isn't it, «L'été»?").words, 3);
}

TEST(ScoreText, OfNothingIsZero) {
  const Tokenizer tokenizer = ab_tokenizer();
  Encoder encoder(tokenizer);
  EXPECT_EQ(score_text(encoder, "").bytes_per_token(), 0.0);
  EXPECT_EQ(score_text(encoder, " \n ").words, 0);
  EXPECT_EQ(score_text(encoder, " \n ").fertility(), 0.0);
}

TEST(ScoreText, ScoresAddUp) {
  const Tokenizer tokenizer = ab_tokenizer();
  Encoder encoder(tokenizer);
  TokenizerScore sum = score_text(encoder, "ab abc");
  sum += score_text(encoder, "b");
  EXPECT_EQ(sum,
            (TokenizerScore{.bytes = 7, .tokens = 4, .words = 3, .word_tokens = 4, .continued_words = 1}));
}

}  // namespace
}  // namespace troupe::data
