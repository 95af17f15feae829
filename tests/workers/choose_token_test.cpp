#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "base/random.h"
#include "workers/token_choice.h"

namespace troupe::workers {
namespace {

constexpr std::array<float, 4> kLogits{1.0F, 3.0F, 3.0F, 0.0F};

TEST(ChooseToken, ZeroTemperatureTakesTheLowestOfTheMostLikely) {
  EXPECT_EQ(choose_token(kLogits, {.temperature = 0.0, .top_k = 0}, 0.99), 1);
}

TEST(ChooseToken, TopKNeverTakesOthers) {
  for (int i = 0; i < 100; ++i) {
    const auto token = choose_token(kLogits, {.temperature = 5.0, .top_k = 2}, i / 100.0);
    EXPECT_TRUE(token == 1 || token == 2);
  }
}

TEST(ChooseToken, FollowsTheSoftmaxOfTheLogits) {
  const Random random(1, RandomPurpose::kTest);
  std::map<std::int32_t, int> seen;
  constexpr int kDraws = 20000;
  for (std::uint64_t i = 0; i < kDraws; ++i)
    ++seen[choose_token(kLogits, {.temperature = 2.0, .top_k = 0}, random.uniform(i))];
  double total = 0.0;
  for (const float logit : kLogits) total += std::exp(logit / 2.0);
  for (std::int32_t id = 0; id < 4; ++id) {
    EXPECT_NEAR(seen[id] / static_cast<double>(kDraws),
                std::exp(kLogits[static_cast<std::size_t>(id)] / 2.0) / total, 0.015);
  }
}

TEST(ChooseToken, TopPTakesTheFewestThatAreLikelyEnough) {
  // Probabilities about 0.06, 0.46, 0.46, 0.02.
  const auto tokens = [](double top_p) {
    std::map<std::int32_t, int> seen;
    for (int i = 0; i < 1000; ++i)
      ++seen[choose_token(kLogits, {.temperature = 1.0, .top_k = 0, .top_p = top_p}, i / 1000.0)];
    return seen.size();
  };
  EXPECT_EQ(tokens(0.0), 1U);
  EXPECT_EQ(tokens(0.4), 1U);
  EXPECT_EQ(tokens(0.5), 2U);
  EXPECT_EQ(tokens(0.95), 3U);
  EXPECT_EQ(tokens(1.0), 4U);
}

TEST(ChooseToken, MinPGoesByTheMostLikelyToken) {
  const auto tokens = [](double min_p) {
    std::map<std::int32_t, int> seen;
    for (int i = 0; i < 1000; ++i)
      ++seen[choose_token(kLogits, {.temperature = 1.0, .top_k = 0, .min_p = min_p}, i / 1000.0)];
    return seen.size();
  };
  EXPECT_EQ(tokens(0.0), 4U);
  EXPECT_EQ(tokens(0.06), 3U);  // e^-3 = 0.05
  EXPECT_EQ(tokens(0.2), 2U);   // e^-2 = 0.14
  EXPECT_EQ(tokens(1.0), 2U);   // a tie
}

TEST(LogProbability, IsThatOfTheSoftmax) {
  double total = 0.0;
  for (std::int32_t id = 0; id < 4; ++id) total += std::exp(log_probability(kLogits, id));
  EXPECT_NEAR(total, 1.0, 1e-12);
  EXPECT_NEAR(log_probability(kLogits, 1) - log_probability(kLogits, 3), 3.0, 1e-12);
}

}  // namespace
}  // namespace troupe::workers
