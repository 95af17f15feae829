#include "data/trained_spans.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace troupe::data {
namespace {

using Borders = std::vector<std::int64_t>;

TEST(TrainedSpans, CountAsTokenByToken) {
  const Random random(5, RandomPurpose::kTest);
  constexpr std::int64_t kTokens = 60;
  for (std::uint64_t round = 0; round < 50; ++round) {
    std::vector<bool> trained(kTokens);
    Borders borders;
    for (std::int64_t token = 0; token < kTokens; ++token) {
      trained[static_cast<std::size_t>(token)] =
          random.below(round * kTokens + static_cast<std::uint64_t>(token), 3) == 0;
      if (trained[static_cast<std::size_t>(token)]) append_span(token, token + 1, borders);
    }
    ASSERT_TRUE(check_spans(borders, kTokens));
    const TrainedSpans spans(borders);
    for (std::int64_t first = 0; first < kTokens; ++first) {
      ASSERT_EQ(spans.contains(first), trained[static_cast<std::size_t>(first)]);
      for (std::int64_t end = first; end <= kTokens; ++end) {
        const auto expected = std::count(trained.begin() + first, trained.begin() + end, true);
        ASSERT_EQ(spans.count(first, end - first), expected) << first << " " << end;
      }
    }
  }
}

TEST(TrainedSpans, AreAllTokensByDefaultAndNoneWithoutASpan) {
  EXPECT_TRUE(TrainedSpans().all());
  EXPECT_EQ(TrainedSpans().count(3, 7), 7);
  EXPECT_TRUE(TrainedSpans().contains(12));
  const TrainedSpans none(Borders{});
  EXPECT_FALSE(none.all());
  EXPECT_EQ(none.count(0, 100), 0);
  EXPECT_FALSE(none.contains(0));
}

TEST(TrainedSpans, JoinWhereTheyTouch) {
  Borders borders;
  append_span(2, 4, borders);
  append_span(4, 5, borders);
  append_span(6, 7, borders);
  EXPECT_EQ(borders, (Borders{2, 5, 6, 7}));
  EXPECT_THROW(append_span(6, 9, borders), Error);
  EXPECT_THROW(append_span(9, 9, borders), Error);
}

TEST(TrainedSpans, AreRefusedUnlessTheyAscendInsideTheTokens) {
  EXPECT_TRUE(check_spans(Borders{}, 10));
  EXPECT_TRUE(check_spans(Borders{0, 3, 4, 10}, 10));
  EXPECT_FALSE(check_spans(Borders{0, 3, 4, 11}, 10));
  EXPECT_FALSE(check_spans(Borders{-1, 3}, 10));
  EXPECT_FALSE(check_spans(Borders{0, 3, 3, 5}, 10));
  EXPECT_FALSE(check_spans(Borders{3, 3}, 10));
  EXPECT_FALSE(check_spans(Borders{0, 3, 4}, 10));
  EXPECT_FALSE(check_spans(Borders{5, 6, 1, 2}, 10));
}

}  // namespace
}  // namespace troupe::data
