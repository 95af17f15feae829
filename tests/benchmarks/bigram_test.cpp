#include "benchmarks/bigram.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace troupe::benchmarks {
namespace {

constexpr std::int32_t kVocab = 20;

/// Tokens that mostly follow in order; 15 to 19 never occur.
BigramCounts sample_counts() {
  const Random random(1, RandomPurpose::kTest);
  BigramCounts counts(kVocab);
  std::int32_t previous = 0;
  for (std::uint64_t i = 0; i < 400; ++i) {
    const bool jump = random.uniform(2 * i) < 0.3;
    const auto next = static_cast<std::int32_t>(jump ? random.below(2 * i + 1, 15)
                                                     : static_cast<std::uint64_t>(previous + 1) % 15);
    counts.add(previous, next);
    previous = next;
  }
  return counts;
}

TEST(BigramCounts, ProbabilitiesSumToOneForEveryContext) {
  for (const BigramCounts& counts : {sample_counts(), BigramCounts(kVocab)}) {
    for (std::int32_t previous = 0; previous < kVocab; ++previous) {
      double witten_bell = 0.0;
      double kneser_ney = 0.0;
      for (std::int32_t next = 0; next < kVocab; ++next) {
        EXPECT_GT(counts.witten_bell(previous, next), 0.0);
        EXPECT_GT(counts.kneser_ney(previous, next), 0.0);
        witten_bell += counts.witten_bell(previous, next);
        kneser_ney += counts.kneser_ney(previous, next);
      }
      EXPECT_NEAR(witten_bell, 1.0, 1e-12) << previous;
      EXPECT_NEAR(kneser_ney, 1.0, 1e-12) << previous;
    }
  }
}

TEST(BigramCounts, WittenBellIsAsComputedByHand) {
  BigramCounts counts(4);
  for (const std::int32_t next : {1, 1, 1, 2}) counts.add(0, next);
  counts.add(3, 2);
  // 5 pairs, 2 different tokens at their ends.
  const double unigram_1 = (3 + 2 * 0.25) / 7;
  EXPECT_NEAR(counts.witten_bell(0, 1), (3 + 2 * unigram_1) / 6, 1e-15);
  EXPECT_NEAR(counts.witten_bell(0, 3), 2 * (2 * 0.25 / 7) / 6, 1e-15);
  EXPECT_NEAR(counts.witten_bell(1, 1), unigram_1, 1e-15);
}

TEST(BigramCounts, KneserNeyIsAsComputedByHand) {
  BigramCounts counts(4);
  for (const std::int32_t next : {1, 1, 1, 2}) counts.add(0, next);
  counts.add(3, 2);
  // Pairs: (0,1) three times, (0,2) and (3,2) once: discount 2/2. Token 1 has one predecessor, 2 has two:
  // discount 1/3.
  const double unigram_1 = ((1 - 1.0 / 3) + 1.0 / 3 * 2 * 0.25) / 3;
  EXPECT_NEAR(counts.kneser_ney(0, 1), (3 - 1 + 1 * 2 * unigram_1) / 4, 1e-15);
  EXPECT_NEAR(counts.kneser_ney(2, 1), unigram_1, 1e-15);
}

TEST(BigramCounts, PredictsBetterThanUnigrams) {
  const BigramCounts counts = sample_counts();
  EXPECT_GT(counts.witten_bell(4, 5), 0.5);
  EXPECT_GT(counts.kneser_ney(4, 5), 0.5);
  EXPECT_LT(counts.witten_bell(4, 9), 0.2);
}

}  // namespace
}  // namespace troupe::benchmarks
