#include "tasks/result.h"

#include <gtest/gtest.h>

#include <array>

namespace troupe::tasks {
namespace {

TEST(TaskScore, IntervalIsWilsons) {
  // As statsmodels' proportion_confint(…, method="wilson") gives them.
  const Interval some = interval_of({.right = 8, .asked = 10});
  EXPECT_NEAR(some.low, 0.4901625, 1e-6);
  EXPECT_NEAR(some.high, 0.9433178, 1e-6);
  const Interval none = interval_of({.right = 0, .asked = 50});
  EXPECT_NEAR(none.low, 0.0, 1e-12);
  EXPECT_NEAR(none.high, 0.0713476, 1e-6);
}

Question two_answers() {
  return {.choices = {{"c", " a"}, {"c", " much longer"}},
          .right = 1,
          .context = {},
          .expected = {},
          .group = "g"};
}

TEST(TaskResults, LengthIsDividedOutOfTheNormalisedScoreOnly) {
  TaskResult result;
  result.add(two_answers(), std::array{-2.0, -11.0});  // per byte -2 and -1
  EXPECT_EQ(result.all.likeliest.right, 0);
  EXPECT_EQ(result.all.likeliest_per_byte.right, 1);
  result.add(two_answers(), std::array{-2.0, -1.0});
  EXPECT_EQ(result.all.likeliest.right, 1);
  EXPECT_EQ(result.all.likeliest.asked, 2);
  EXPECT_DOUBLE_EQ(result.all.chance, 1.0);
  EXPECT_EQ(result.groups.at("g").likeliest.asked, 2);
}

TEST(TaskResults, AFirstLineIsRightWhateverFollows) {
  const Question question{.choices = {}, .right = 0, .context = "c", .expected = "42", .group = {}};
  TaskResult result;
  for (const char* text : {" 42\nQuestion:", "42", "\n 42 "}) result.add_written(question, text);
  EXPECT_EQ(result.all.written.right, 3);
  for (const char* text : {" 421", "", "it is 42"}) result.add_written(question, text);
  EXPECT_EQ(result.all.written.right, 3);
  EXPECT_EQ(result.all.written.asked, 6);
  EXPECT_TRUE(result.groups.empty());
}

}  // namespace
}  // namespace troupe::tasks
