#include "data/preferences/pair_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/index.h"
#include "base/random.h"
#include "tests/data/expect_error.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

constexpr std::int64_t kLength = 48;
constexpr std::int64_t kPairs = 30;

/// Pairs of halves of 2 to 21 tokens, of which the last two are trained; two pairs are too long.
TestStream random_pairs(std::int32_t begin_of_text) {
  const Random random(5, RandomPurpose::kTest);
  std::vector<TestDocument> documents;
  for (std::int64_t i = 0; i < 2 * kPairs; ++i) {
    const std::int64_t tokens = i / 2 < 2 ? kLength : 2 + static_cast<std::int64_t>(random.below(at(i), 20));
    documents.push_back({.domain = i < kPairs ? 0 : 1, .text_tokens = tokens});
  }
  TestStream stream = make_stream(documents, 2, 1000);
  stream.header.begin_of_text = begin_of_text;
  std::vector<std::int64_t> borders;
  for (const std::int64_t end : std::span(stream.header.document_offsets).subspan(1))
    append_span(end - 2, end, borders);
  stream.header.trained = TrainedSpans(std::move(borders));
  stream.header.pairs = true;
  return stream;
}

class PairReaderTest : public ::testing::TestWithParam<std::int32_t> {
 protected:
  PairReaderTest() : dataset_(make_dataset(folder_ / "pairs", random_pairs(GetParam()))) {}

  [[nodiscard]] std::vector<std::int32_t> document(std::int64_t number) const {
    const TokenPiece piece = dataset_.document(number);
    std::vector<std::int32_t> tokens(at(piece.count));
    dataset_.read(piece.first, tokens);
    if (dataset_.header().begin_of_text == kNoToken) tokens.insert(tokens.begin(), 0);
    return tokens;
  }

  test::ScratchFolder folder_;
  TokenDataset dataset_;
};

INSTANTIATE_TEST_SUITE_P(BeginOfText, PairReaderTest, ::testing::Values(kNoToken, 7));

TEST_P(PairReaderTest, GivesEveryPairThatFitsOnceAnEpochInAnOrderOfItsOwn) {
  const PairOrder order(dataset_, kLength, 3);
  EXPECT_EQ(order.left_out(), 2);
  std::vector<std::vector<std::int64_t>> epochs(2);
  for (std::int64_t n = 0; n < 2 * order.sequences(); ++n) {
    const auto pairs = order.pairs(n);
    auto& epoch = epochs[at(n / order.sequences())];
    epoch.insert(epoch.end(), pairs.begin(), pairs.end());
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& epoch : epochs) {
    std::ranges::sort(epoch);
    ASSERT_EQ(std::ssize(epoch), kPairs - 2);
    for (std::int64_t i = 0; i < kPairs - 2; ++i) EXPECT_EQ(epoch[at(i)], i + 2);
  }
}

TEST_P(PairReaderTest, BothHalvesOfAPairLieInOneSequenceAndSeeOnlyThemselves) {
  const PairOrder order(dataset_, kLength, 3);
  PairReader reader(dataset_, order, kLength);
  for (std::int64_t n = 0; n < order.sequences(); n += 2) {
    const Sequences& read = reader.read(std::array{n, n + 1});
    ASSERT_EQ(std::ssize(read.pairs), reader.targets(n) + reader.targets(n + 1));
    std::int64_t targets = 0;
    for (const PlacedPair& pair : read.pairs) {
      EXPECT_EQ(pair.chosen / kLength, (pair.end - 1) / kLength);
      const std::array borders{pair.chosen, pair.rejected, pair.end};
      for (std::int64_t half = 0; half < 2; ++half) {
        const std::int64_t first = borders[at(half)];
        const auto tokens = document(2 * pair.number + half);
        ASSERT_EQ(borders[at(half) + 1] - first, std::ssize(tokens));
        for (std::int64_t i = 0; i < std::ssize(tokens); ++i) {
          EXPECT_EQ(read.tokens[at(first + i)], tokens[at(i)]);
          EXPECT_EQ(read.positions[at(first + i)], i);
          EXPECT_EQ(read.first_visible[at(first + i)], first % kLength);
          EXPECT_EQ(read.domains[at(first + i)], 2 * pair.number < kPairs ? 0 : 1);
          const bool trained = i + 3 >= std::ssize(tokens) && i + 1 < std::ssize(tokens);
          EXPECT_EQ(read.targets[at(first + i)], trained ? tokens[at(i + 1)] : kMaskedTarget);
          targets += trained ? 1 : 0;
        }
      }
    }
    // What fills a sequence is text of its pairs, without a target.
    EXPECT_EQ(std::ssize(read.targets) - std::ranges::count(read.targets, kMaskedTarget), targets);
    EXPECT_EQ(std::ssize(read.tokens), 2 * kLength);
    EXPECT_EQ(std::ranges::count(read.tokens, -1), 0);
  }
}

TEST_P(PairReaderTest, FillsASequenceWithTheTextOfItsPairs) {
  const PairOrder order(dataset_, kLength, 3);
  PairReader reader(dataset_, order, kLength);
  for (std::int64_t n = 0; n < order.sequences(); ++n) {
    const Sequences& read = reader.read(std::array{n});
    std::int64_t place = read.pairs.back().end;
    for (std::int64_t half = 0; place < kLength; ++half) {
      const auto& pair = read.pairs[at(half / 2) % read.pairs.size()];
      for (const std::int32_t token : document(2 * pair.number + half % 2)) {
        if (place == kLength) break;
        EXPECT_EQ(read.tokens[at(place++)], token);
      }
    }
  }
}

TEST_P(PairReaderTest, RefusesTextAndPairsThatDoNotFit) {
  expect_error(ErrorCode::kConfig, "none of its 30 pairs fits into a sequence of 4",
               [&] { (void)PairOrder(dataset_, 4, 1); });
  const TokenDataset text = make_dataset(folder_ / "text", make_stream({{0, 5}, {0, 5}}, 1, 100));
  expect_error(ErrorCode::kConfig, "--preferences", [&] { (void)PairOrder(text, kLength, 1); });
}

TEST(PairFile, IsReadAsPairsOrNotAtAll) {
  const test::ScratchFolder folder;
  TestStream stream = random_pairs(kNoToken);
  const TokenDataset dataset = make_dataset(folder / "pairs", stream);
  EXPECT_TRUE(dataset.header().pairs);
  EXPECT_EQ(dataset.header(), stream.header);
  stream.header.pairs = false;
  EXPECT_NE(make_dataset(folder / "chats", stream).content_hash(), dataset.content_hash());
  stream.header.pairs = true;
  stream.header.document_domains[1] = 1;
  std::ranges::sort(stream.header.document_domains);
  write_token_file(folder / "torn", stream.header, stream.tokens);
  expect_error(ErrorCode::kCorrupt, "no pairs of one domain", [&] { (void)TokenDataset(folder / "torn"); });
}

}  // namespace
}  // namespace troupe::data
