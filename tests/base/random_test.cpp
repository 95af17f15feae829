#include "base/random.h"

#include <gtest/gtest.h>

#include <set>

namespace troupe {
namespace {

TEST(Random, IsAPureFunctionOfItsKey) {
  const Random a(7, RandomPurpose::kTest, 3);
  const Random b(7, RandomPurpose::kTest, 3);
  EXPECT_EQ(a.bits(41), b.bits(41));
}

TEST(Random, DiffersBySeedPurposeStreamAndIndex) {
  const std::set<std::uint64_t> values{
      Random(7, RandomPurpose::kTest, 3).bits(41), Random(8, RandomPurpose::kTest, 3).bits(41),
      Random(7, RandomPurpose::kInit, 3).bits(41), Random(7, RandomPurpose::kTest, 4).bits(41),
      Random(7, RandomPurpose::kTest, 3).bits(42),
  };
  EXPECT_EQ(values.size(), 5U);
}

// Known answer of Philox4x32-10 for an all-zero key and counter (Random123's kat_vectors).
TEST(Random, MatchesThePublishedPhiloxVectors) {
  const auto words = Random(0, static_cast<RandomPurpose>(0), 0).words(0);
  EXPECT_EQ(words, (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

TEST(Random, NormalHasUnitVarianceAndZeroMean) {
  const Random random(1, RandomPurpose::kTest);
  double sum = 0;
  double squares = 0;
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal(static_cast<std::uint64_t>(i));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.03);
  EXPECT_NEAR(squares / kCount, 1.0, 0.04);
}

TEST(Random, TruncatedNormalDrawsAgainInsteadOfGatheringAtTheLimit) {
  const Random random(1, RandomPurpose::kTest);
  int outside = 0;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const double plain = random.normal(i);
    const double cut = random.truncated_normal(i, 1.0);
    EXPECT_LT(std::abs(cut), 1.0);
    if (std::abs(plain) <= 1.0) {
      EXPECT_EQ(cut, plain);
    } else {
      ++outside;
    }
  }
  EXPECT_NEAR(outside / 20000.0, 0.3173, 0.02);
}

TEST(Random, BelowStaysInsideAndReachesEveryValue) {
  const Random random(1, RandomPurpose::kTest);
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 200; ++i) seen.insert(random.below(i, 5));
  EXPECT_EQ(seen, (std::set<std::uint64_t>{0, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace troupe
