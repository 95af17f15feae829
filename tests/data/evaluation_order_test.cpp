#include "data/evaluation_order.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

constexpr std::int64_t kLength = 8;

class EvaluationOrderTest : public ::testing::Test {
 protected:
  test::ScratchFolder folder_;
  /// 5, 10 and 20 windows.
  TokenDataset dataset_ = make_dataset(folder_ / "a", make_stream({{0, 39}, {1, 79}, {2, 160}}, 3, 60));

  [[nodiscard]] std::vector<std::int64_t> windows(std::int64_t sequences) const {
    const EvaluationOrder order(dataset_, kLength, sequences);
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i < order.size(); ++i) result.push_back(order.window(i));
    return result;
  }
  [[nodiscard]] std::int32_t domain_of(std::int64_t window) const {
    return dataset_.header()
        .document_domains[static_cast<std::size_t>(dataset_.document_at(window * kLength))];
  }
};

TEST_F(EvaluationOrderTest, TakesTurnsBetweenDomainsAsLongAsTheyLast) {
  const auto chosen = windows(24);
  ASSERT_EQ(chosen.size(), 24U);
  std::vector<int> per_domain(3, 0);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (i < 15) {
      EXPECT_EQ(domain_of(chosen[i]), static_cast<std::int32_t>(i % 3)) << i;
    }
    ++per_domain[static_cast<std::size_t>(domain_of(chosen[i]))];
  }
  EXPECT_EQ(per_domain, (std::vector<int>{5, 10, 9}));
}

TEST_F(EvaluationOrderTest, NeverRepeatsAWindow) {
  const auto chosen = windows(34);
  EXPECT_EQ(std::set<std::int64_t>(chosen.begin(), chosen.end()).size(), 34U);
}

TEST_F(EvaluationOrderTest, ASmallerSetIsTheBeginningOfALargerOne) {
  const auto large = windows(30);
  const auto small = windows(7);
  EXPECT_TRUE(std::equal(small.begin(), small.end(), large.begin()));
}

TEST_F(EvaluationOrderTest, GivesAllThereAreWhenAskedForMore) {
  EXPECT_EQ(static_cast<std::int64_t>(windows(1000).size()), window_count(dataset_, kLength));
}

TEST_F(EvaluationOrderTest, RefusesATextShorterThanOneSequence) {
  expect_error(ErrorCode::kConfig, "held-out text", [&] { (void)EvaluationOrder(dataset_, 100000, 4); });
}

TEST_F(EvaluationOrderTest, RefusesANumberOutsideTheSet) {
  const EvaluationOrder order(dataset_, kLength, 4);
  EXPECT_THROW((void)order.window(4), Error);
  EXPECT_THROW((void)order.window(-1), Error);
}

}  // namespace
}  // namespace troupe::data
