#include "data/batch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ranges>
#include <set>

#include "base/random.h"
#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

constexpr std::int64_t kLength = 8;

using Pieces = std::vector<TokenPiece>;

/// Documents of 1 to 40 tokens in domains of 40, 80 and 160 documents, and one that has none.
std::vector<TestDocument> documents() {
  const Random random(5, RandomPurpose::kTest);
  std::vector<TestDocument> result;
  for (int i = 0; i < 280; ++i) {
    result.push_back({i < 40    ? 0
                      : i < 120 ? 1
                                : 2,
                      static_cast<std::int64_t>(1 + random.below(static_cast<std::uint64_t>(i), 40))});
  }
  return result;
}

class BatchOrderTest : public ::testing::Test {
 protected:
  test::ScratchFolder folder_;
  TokenDataset dataset_ = make_dataset(folder_ / "a", make_stream(documents(), 4, 60));

  [[nodiscard]] static Pieces pieces(const BatchOrder& order, std::int64_t number) {
    Pieces result;
    order.append_pieces(number, result);
    return result;
  }
  /// Of the sequences [first, first + count).
  [[nodiscard]] static std::vector<Pieces> sequences(const BatchOrder& order, std::int64_t first,
                                                     std::int64_t count) {
    std::vector<Pieces> result;
    for (std::int64_t i = 0; i < count; ++i) result.push_back(pieces(order, first + i));
    return result;
  }
  [[nodiscard]] std::int32_t domain_of(const TokenPiece& piece) const {
    return dataset_.header().document_domains[static_cast<std::size_t>(dataset_.document_at(piece.first))];
  }
  /// Calls visit(token) for the inputs of the sequences [0, count): all tokens of each but its last.
  template <class Visit>
  void visit_inputs(const BatchOrder& order, std::int64_t count, const Visit& visit) const {
    for (std::int64_t number = 0; number < count; ++number) {
      std::int64_t inputs = kLength;
      for (const TokenPiece& piece : pieces(order, number)) {
        for (std::int64_t i = 0; i < piece.count && inputs > 0; ++i, --inputs) visit(piece.first + i);
      }
    }
  }
  /// [domains]
  [[nodiscard]] std::vector<double> shares(const BatchOrder& order, std::int64_t count) const {
    std::vector<double> result(4, 0.0);
    visit_inputs(order, count, [&](std::int64_t token) {
      result[static_cast<std::size_t>(domain_of({token, 1}))] += 1.0 / static_cast<double>(count * kLength);
    });
    return result;
  }
};

TEST_F(BatchOrderTest, GivesSequencesOfWholeDocumentsThatAreCutAtTheirEndsOnly) {
  const BatchOrder order(dataset_, kLength, 1);
  for (const Pieces& sequence : sequences(order, 0, 3000)) {
    std::int64_t tokens = 0;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      const TokenPiece document = dataset_.document(dataset_.document_at(sequence[i].first));
      EXPECT_TRUE(i == 0 || sequence[i].first == document.first);
      EXPECT_TRUE(i + 1 == sequence.size() || sequence[i].end() == document.end());
      tokens += sequence[i].count;
    }
    EXPECT_EQ(tokens, kLength + 1);
  }
}

TEST_F(BatchOrderTest, GivesEveryTokenAsOftenAsThereAreEpochs) {
  const BatchOrder order(dataset_, kLength, 1);
  const std::int64_t epoch = dataset_.token_count();
  std::vector<std::int64_t> inputs(static_cast<std::size_t>(epoch), 0);
  visit_inputs(order, kLength * epoch / kLength,
               [&](std::int64_t token) { ++inputs[static_cast<std::size_t>(token)]; });
  EXPECT_EQ(inputs, std::vector<std::int64_t>(static_cast<std::size_t>(epoch), kLength));
}

TEST_F(BatchOrderTest, ShufflesAnewForEveryEpochAndSeed) {
  const BatchOrder order(dataset_, kLength, 1);
  EXPECT_NE(sequences(order, 0, 50), sequences(BatchOrder(dataset_, kLength, 2), 0, 50));
  EXPECT_EQ(sequences(order, 0, 50), sequences(BatchOrder(dataset_, kLength, 1), 0, 50));
  std::set<std::pair<std::int64_t, std::int64_t>> follow;  // documents that follow each other in an epoch
  const std::int64_t epoch = dataset_.token_count() / kLength;
  for (std::int64_t number = 0; number < 2 * epoch; ++number) {
    const Pieces sequence = pieces(order, number);
    for (std::size_t i = 1; i < sequence.size(); ++i)
      follow.emplace(sequence[i - 1].end(), sequence[i].first);
  }
  EXPECT_GT(follow.size(), 2 * 280 * 8 / 10);
}

TEST_F(BatchOrderTest, AnyPlaceIsReachedWithoutWalkingThere) {
  const BatchOrder walked(dataset_, kLength, 1, {{"d0", 1}, {"d1", 2}});
  const auto all = sequences(walked, 0, 4000);
  for (const std::int64_t number : {3999, 17, 2500, 0}) {
    const BatchOrder order(dataset_, kLength, 1, {{"d0", 1}, {"d1", 2}});
    EXPECT_EQ(pieces(order, number), all[static_cast<std::size_t>(number)]) << number;
  }
}

TEST_F(BatchOrderTest, ALongDocumentIsSpreadOverTheEpoch) {
  std::vector<TestDocument> texts = documents();
  texts[150].text_tokens = 1500;
  const TokenDataset dataset = make_dataset(folder_ / "long", make_stream(texts, 4, 60));
  const TokenPiece document = dataset.document(150);
  const BatchOrder order(dataset, kLength, 1);
  std::vector<std::int64_t> holding;
  for (std::int64_t number = 0; number < dataset.token_count() / kLength; ++number) {
    const TokenPiece begin = pieces(order, number).front();
    if (document.first <= begin.first && begin.first < document.end()) holding.push_back(number);
  }
  ASSERT_GT(holding.size(), 150U);
  EXPECT_GT(holding.back() - holding.front(), 2 * std::ssize(holding)) << "neighbours would fill batches";
}

// A run that is resumed with another build must see the same data: these values are for ever.
TEST_F(BatchOrderTest, KeepsItsOrderForEver) {
  EXPECT_EQ(pieces(BatchOrder(dataset_, kLength, 1), 0), (Pieces{{336, 9}}));
  EXPECT_EQ(pieces(BatchOrder(dataset_, kLength, 1, {{"d0", 1}, {"d1", 2}}), 1'000'000), (Pieces{{2487, 9}}));
}

/// Bits.
double entropy(const std::vector<double>& shares) {
  double bits = 0.0;
  for (const double share : shares) bits -= share > 0.0 ? share * std::log2(share) : 0.0;
  return bits;
}

TEST_F(BatchOrderTest, ASequenceMixesDomainsAsTheCorpusDoes) {
  constexpr std::int64_t kLong = 400;  // about twenty documents
  const BatchOrder order(dataset_, kLong, 1);
  std::vector<double> corpus(4, 0.0);
  for (std::int64_t d = 0; d < dataset_.document_count(); ++d) {
    corpus[static_cast<std::size_t>(dataset_.header().document_domains[static_cast<std::size_t>(d)])] +=
        static_cast<double>(dataset_.document(d).count) / static_cast<double>(dataset_.token_count());
  }
  double mean = 0.0;
  constexpr int kCount = 50;
  for (std::int64_t number = 0; number < kCount; ++number) {
    std::vector<double> shares(4, 0.0);
    for (const TokenPiece& piece : pieces(order, number)) {
      shares[static_cast<std::size_t>(domain_of(piece))] +=
          static_cast<double>(piece.count) / static_cast<double>(kLong + 1);
    }
    mean += entropy(shares) / kCount;
  }
  EXPECT_GT(entropy(corpus), 1.2);
  EXPECT_GT(mean, 0.9 * entropy(corpus));
}

TEST_F(BatchOrderTest, CountsWhatWasSeen) {
  for (const auto& weights : {std::map<std::string, double>{}, {{"d0", 0.7}, {"d2", 0.3}}}) {
    const BatchOrder order(dataset_, kLength, 1, weights);
    for (const std::int64_t count : {0, 1, 700, 719, 1800, 2500}) {
      std::vector<std::int64_t> expected(4, 0);
      visit_inputs(order, count, [&](std::int64_t token) {
        ++expected[static_cast<std::size_t>(domain_of({token, 1}))];
      });
      std::vector<std::int64_t> seen;
      for (const SeenText& text : order.seen(count)) seen.push_back(text.tokens);
      // Sequences of a pass are permuted, so that those before `count` are exact at its begin only as a set.
      EXPECT_EQ(seen, expected) << count;
    }
  }
}

TEST_F(BatchOrderTest, WindowsOfDomainsPartitionTheStream) {
  const auto domains = windows_by_domain(dataset_, kLength);
  ASSERT_EQ(domains.size(), 4U);
  std::int64_t next = 0;
  for (std::size_t domain = 0; domain < domains.size(); ++domain) {
    EXPECT_EQ(domains[domain].first, next);
    for (std::int64_t i = 0; i < domains[domain].count; ++i) {
      EXPECT_EQ(domain_of({(next + i) * kLength, 1}), static_cast<std::int32_t>(domain));
    }
    next += domains[domain].count;
  }
  EXPECT_EQ(next, window_count(dataset_, kLength));
  EXPECT_EQ(domains[3].count, 0);
}

TEST_F(BatchOrderTest, GivesDomainsTheirSharesOfTheTokensAsGiven) {
  const std::map<std::string, double> weights{{"d0", 0.001}, {"d1", 0.75}, {"d2", 0.249}};
  const auto drawn = shares(BatchOrder(dataset_, kLength, 1, weights), 40'000);
  EXPECT_NEAR(drawn[0], 0.001, 0.0002);  // a document, in 320 000 tokens
  EXPECT_NEAR(drawn[1], 0.75, 0.002);
  EXPECT_NEAR(drawn[2], 0.249, 0.002);
}

TEST_F(BatchOrderTest, TakesTheWeightsOfTheCorpusUnlessTheRunHasSome) {
  TestStream stream = make_stream(documents(), 4, 60);
  stream.header.domain_weights = {1.0, 3.0, 0.0, 0.0};
  const TokenDataset weighted = make_dataset(folder_ / "weighted", stream);
  const BatchOrder order(weighted, kLength, 1);
  EXPECT_EQ(sequences(order, 0, 200),
            sequences(BatchOrder(dataset_, kLength, 1, {{"d0", 1.0}, {"d1", 3.0}}), 0, 200));
  EXPECT_EQ(sequences(BatchOrder(weighted, kLength, 1, {{"d2", 1.0}}), 0, 200),
            sequences(BatchOrder(dataset_, kLength, 1, {{"d2", 1.0}}), 0, 200));
  expect_error(ErrorCode::kConfig, "the weight cannot be met", [&] { order.require_reach(1); });
  EXPECT_NO_THROW(BatchOrder(dataset_, kLength, 1).require_reach(1)) << "nobody asked for a share";
}

TEST_F(BatchOrderTest, ATinyWeightStaysTiny) {
  const auto drawn = shares(BatchOrder(dataset_, kLength, 1, {{"d0", 1e-6}, {"d1", 1.0}}), 20'000);
  EXPECT_LT(drawn[0], 41.0 / (20'000 * kLength));  // no more than one document
}

TEST_F(BatchOrderTest, RefusesAWeightThatARunCannotMeet) {
  const BatchOrder order(dataset_, kLength, 1, {{"d0", 1e-6}, {"d1", 1.0}});
  expect_error(ErrorCode::kConfig, "data.domains.d0: the weight cannot be met",
               [&] { order.require_reach(20'000); });
  EXPECT_NO_THROW(order.require_reach(20'000'000));
}

TEST_F(BatchOrderTest, WalksEachWeightedDomainThroughItsOwnEpochs) {
  const BatchOrder order(dataset_, kLength, 1, {{"d0", 3}, {"d2", 1}});
  std::map<std::int64_t, std::int64_t> times;  // of d0's tokens
  visit_inputs(order, 20'000, [&](std::int64_t token) {
    if (domain_of({token, 1}) == 0) ++times[token];
  });
  const auto [least, most] = std::ranges::minmax(std::views::values(times));
  EXPECT_GT(least, 100);
  EXPECT_LE(most - least, 3);
}

TEST_F(BatchOrderTest, LeavesOutDomainsWithoutWeight) {
  const BatchOrder order(dataset_, kLength, 1, {{"d1", 1.0}, {"d0", 0.0}});
  for (const Pieces& sequence : sequences(order, 0, 2000)) {
    for (const TokenPiece& piece : sequence) EXPECT_EQ(domain_of(piece), 1);
  }
}

TEST_F(BatchOrderTest, RefusesWeightsThatCannotBeMeant) {
  const auto make = [&](const std::map<std::string, double>& weights) {
    return BatchOrder(dataset_, kLength, 1, weights).seen(0);
  };
  expect_error(ErrorCode::kConfig, "no domain 'x'; it has d0, d1, d2, d3", [&] { (void)make({{"x", 1.0}}); });
  expect_error(ErrorCode::kConfig, "at least one weight", [&] { (void)make({{"d0", 0.0}}); });
  expect_error(ErrorCode::kConfig, "data.domains.d0", [&] { (void)make({{"d0", -1.0}}); });
  expect_error(ErrorCode::kConfig, "data.domains.d0", [&] { (void)make({{"d0", std::nan("")}}); });
  expect_error(ErrorCode::kConfig, "no training text", [&] { (void)make({{"d3", 1.0}}); });
}

TEST_F(BatchOrderTest, RefusesATextShorterThanOneSequence) {
  expect_error(ErrorCode::kConfig, "data.sequence_length", [&] { (void)BatchOrder(dataset_, 100000, 1); });
}

}  // namespace
}  // namespace troupe::data
