#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>

#include "base/random.h"
#include "workers/sampler.h"

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

}  // namespace
}  // namespace troupe::workers
