#include "data/batch_order.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/storage/scratch_folder.h"

namespace troupe::data {
namespace {

constexpr std::int64_t kLength = 8;

class BatchOrderTest : public ::testing::Test {
 protected:
  storage::ScratchFolder folder_;
  /// 3 domains of about 25, 50 and 100 windows, and one that has no document.
  TokenDataset dataset_ =
      make_dataset(folder_ / "a", make_stream({{0, 120}, {0, 70}, {1, 395}, {2, 500}, {2, 300}}, 4, 60));

  [[nodiscard]] std::vector<std::int64_t> windows(const BatchOrder& order, std::int64_t first,
                                                  std::int64_t count) const {
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i < count; ++i) result.push_back(order.window(first + i));
    return result;
  }
  [[nodiscard]] std::int32_t domain_of(std::int64_t window) const {
    const auto document = static_cast<std::size_t>(dataset_.document_at(window * kLength));
    return dataset_.header().document_domains[document];
  }
};

TEST_F(BatchOrderTest, GivesEveryWindowOnceInEveryEpoch) {
  const BatchOrder order(dataset_, kLength, 1);
  const std::int64_t count = window_count(dataset_, kLength);
  std::vector<std::int64_t> expected(static_cast<std::size_t>(count));
  std::iota(expected.begin(), expected.end(), 0);
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    auto seen = windows(order, epoch * count, count);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, expected) << epoch;
  }
}

TEST_F(BatchOrderTest, ShufflesAnewForEveryEpochAndSeed) {
  const BatchOrder order(dataset_, kLength, 1);
  const std::int64_t count = window_count(dataset_, kLength);
  EXPECT_NE(windows(order, 0, count), windows(order, count, count));
  EXPECT_NE(windows(order, 0, count), windows(BatchOrder(dataset_, kLength, 2), 0, count));
  EXPECT_EQ(windows(order, 0, count), windows(BatchOrder(dataset_, kLength, 1), 0, count));
}

// A run that is resumed with another build must see the same data: these values are for ever.
TEST_F(BatchOrderTest, KeepsItsOrderForEver) {
  EXPECT_EQ(windows(BatchOrder(dataset_, kLength, 1), 0, 6),
            (std::vector<std::int64_t>{145, 26, 56, 115, 106, 89}));
  EXPECT_EQ(windows(BatchOrder(dataset_, kLength, 1, {{"d0", 1}, {"d1", 2}}), 1'000'000, 6),
            (std::vector<std::int64_t>{62, 7, 45, 55, 21, 27}));
}

TEST_F(BatchOrderTest, WindowsOfDomainsPartitionTheStream) {
  const auto domains = windows_by_domain(dataset_, kLength);
  ASSERT_EQ(domains.size(), 4U);
  std::int64_t next = 0;
  for (std::size_t domain = 0; domain < domains.size(); ++domain) {
    EXPECT_EQ(domains[domain].first, next);
    for (std::int64_t i = 0; i < domains[domain].count; ++i) {
      EXPECT_EQ(domain_of(next + i), static_cast<std::int32_t>(domain));
    }
    next += domains[domain].count;
  }
  EXPECT_EQ(next, window_count(dataset_, kLength));
  EXPECT_EQ(domains[3].count, 0);
}

TEST_F(BatchOrderTest, DealsWeightedDomainsInExactProportion) {
  const BatchOrder order(dataset_, kLength, 1, {{"d0", 0.25}, {"d1", 0.5}, {"d2", 0.25}});
  for (const std::int64_t first : {0, 4096}) {
    std::vector<std::int64_t> drawn(3, 0);
    for (const std::int64_t window : windows(order, first, 4096))
      ++drawn[static_cast<std::size_t>(domain_of(window))];
    EXPECT_EQ(drawn, (std::vector<std::int64_t>{1024, 2048, 1024}));
  }
  std::vector<std::int64_t> beginning(3, 0);
  for (const std::int64_t window : windows(order, 0, 8))
    ++beginning[static_cast<std::size_t>(domain_of(window))];
  EXPECT_EQ(beginning, (std::vector<std::int64_t>{2, 4, 2}));
}

TEST_F(BatchOrderTest, GivesRareDomainsAtLeastOneSlotAndRoundsToTheWhole) {
  const BatchOrder order(dataset_, kLength, 1, {{"d0", 1e-9}, {"d1", 1.0}, {"d2", 2.0}});
  std::vector<std::int64_t> drawn(3, 0);
  for (const std::int64_t window : windows(order, 0, 4096))
    ++drawn[static_cast<std::size_t>(domain_of(window))];
  EXPECT_EQ(drawn[0], 1);
  EXPECT_NEAR(static_cast<double>(drawn[1]), 4096.0 / 3, 1.0);
  EXPECT_EQ(std::accumulate(drawn.begin(), drawn.end(), std::int64_t{0}), 4096);
}

TEST_F(BatchOrderTest, WalksEachWeightedDomainThroughItsOwnEpochs) {
  const BatchOrder order(dataset_, kLength, 1, {{"d0", 3}, {"d2", 1}});
  const WindowRange domain = windows_by_domain(dataset_, kLength)[0];
  std::vector<std::int64_t> drawn;
  for (const std::int64_t window : windows(order, 0, 20000)) {
    if (window >= domain.first && window < domain.first + domain.count) drawn.push_back(window);
  }
  const auto epochs = static_cast<std::int64_t>(drawn.size()) / domain.count;
  ASSERT_GT(epochs, 100);
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    const auto begin = drawn.begin() + epoch * domain.count;
    EXPECT_EQ(std::set<std::int64_t>(begin, begin + domain.count).size(),
              static_cast<std::size_t>(domain.count));
  }
}

TEST_F(BatchOrderTest, LeavesOutDomainsWithoutWeight) {
  const BatchOrder order(dataset_, kLength, 1, {{"d1", 1.0}, {"d0", 0.0}});
  for (const std::int64_t window : windows(order, 0, 5000)) EXPECT_EQ(domain_of(window), 1);
}

TEST_F(BatchOrderTest, RefusesWeightsThatCannotBeMeant) {
  const auto make = [&](const std::map<std::string, double>& weights) {
    return BatchOrder(dataset_, kLength, 1, weights);
  };
  expect_error(ErrorCode::kConfig, "no domain 'x'; it has d0, d1, d2, d3", [&] { (void)make({{"x", 1.0}}); });
  expect_error(ErrorCode::kConfig, "at least one weight", [&] { (void)make({{"d0", 0.0}}); });
  expect_error(ErrorCode::kConfig, "data.domains.d0", [&] { (void)make({{"d0", -1.0}}); });
  expect_error(ErrorCode::kConfig, "data.domains.d0", [&] { (void)make({{"d0", std::nan("")}}); });
  expect_error(ErrorCode::kConfig, "less text", [&] { (void)make({{"d3", 1.0}}); });
}

TEST_F(BatchOrderTest, RefusesATextShorterThanOneSequence) {
  expect_error(ErrorCode::kConfig, "data.sequence_length", [&] { (void)BatchOrder(dataset_, 100000, 1); });
}

}  // namespace
}  // namespace troupe::data
