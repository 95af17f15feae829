#include "tasks/needle.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tasks/formats.h"

namespace troupe::tasks {
namespace {

const data::Tokenizer& tokenizer() {
  static const auto tokenizer =
      data::read_tokenizer_json(TROUPE_SOURCE_DIR "/tests/data/tiny/" + std::string(data::kTokenizerFile));
  return tokenizer;
}

TEST(Needle, IsWhereItIsAskedForInAContextOfThatLength) {
  const NeedleRequest request{.lengths = {200, 400}, .depths = {0.0, 0.5, 1.0}, .count = 4, .haystack = {}};
  const auto lines = needle_lines(request, tokenizer());
  ASSERT_EQ(lines.size(), 24U);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Question question = parse_question(lines[i], "a line");
    const std::string& context = question.choices.front().context;
    const std::int64_t length = request.lengths[i / 12];
    const auto tokens = std::ssize(tokenizer().encode(context));
    EXPECT_LE(tokens, length);
    EXPECT_GT(tokens, length - 40) << "a sentence more would have fitted";
    ASSERT_EQ(question.choices.size(), 5U);
    const std::string right = question.choices[question.right].answer;
    const auto place = context.find("is" + right + ".");
    ASSERT_NE(place, std::string::npos) << "the right answer stands in the text";
    const double depth = static_cast<double>(place) / static_cast<double>(context.find("\nQuestion:"));
    EXPECT_NEAR(depth, request.depths[i / 4 % 3], 0.2);
    for (const Choice& choice : question.choices) {
      EXPECT_EQ(context.find(choice.answer) != std::string::npos, choice.answer == right);
    }
    EXPECT_EQ(question.group, fmt::format("length {}, depth {:.2f}", length, request.depths[i / 4 % 3]));
  }
}

TEST(Needle, SeedsGiveOtherQuestionsAndTheSameOnesAgain) {
  NeedleRequest request{.lengths = {200}, .depths = {0.5}, .haystack = "One thing. Another thing."};
  const auto lines = needle_lines(request, tokenizer());
  EXPECT_NE(lines.front().find("One thing. Another thing. One"), std::string::npos);
  EXPECT_EQ(lines, needle_lines(request, tokenizer()));
  request.seed = 2;
  EXPECT_NE(lines, needle_lines(request, tokenizer()));
  request.in_words = true;
  EXPECT_TRUE(parse_question(needle_lines(request, tokenizer()).front(), "").choices.empty());
}

TEST(Needle, RefusesAContextThatHasNoRoomForIt) {
  EXPECT_THROW(
      static_cast<void>(needle_lines({.lengths = {10}, .depths = {0.5}, .haystack = {}}, tokenizer())),
      Error);
}

}  // namespace
}  // namespace troupe::tasks
