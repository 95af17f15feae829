#include "data/sequence_reader.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "data/batch_order.h"
#include "tests/data/token_files.h"
#include "tests/storage/scratch_folder.h"

namespace troupe::data {
namespace {

/// Windows as they lie in the stream.
class StreamOrder final : public SequenceOrder {
 public:
  [[nodiscard]] std::int64_t window(std::int64_t number) const override { return number; }
};

/// Documents of 1 to 30 tokens, so that windows hold none, one or several borders, also at their ends.
std::vector<TestDocument> random_documents(std::int64_t count) {
  const Random random(3, RandomPurpose::kTest);
  std::vector<TestDocument> documents;
  for (std::int64_t i = 0; i < count; ++i) {
    documents.push_back({static_cast<std::int32_t>(i * 4 / count),
                         static_cast<std::int64_t>(1 + random.below(static_cast<std::uint64_t>(i), 30))});
  }
  return documents;
}

/// One sequence straight from the definition: position by position, looking at the whole stream.
Sequences plain_sequence(const TestStream& stream, std::int64_t window, std::int64_t length,
                         bool document_mask) {
  const auto document_of = [&](std::int64_t token) {
    std::size_t document = 0;
    while (stream.header.document_offsets[document + 1] <= token) ++document;
    return document;
  };
  Sequences result;
  for (std::int64_t position = 0; position < length; ++position) {
    const std::int64_t token = window * length + position;
    const std::int64_t begin = stream.header.document_offsets[document_of(token)];
    const std::int64_t visible = document_mask ? std::max<std::int64_t>(begin - window * length, 0) : 0;
    const bool border = document_of(token) != document_of(token + 1);
    result.tokens.push_back(stream.tokens[static_cast<std::size_t>(token)]);
    result.targets.push_back(border && document_mask ? kMaskedTarget
                                                     : stream.tokens[static_cast<std::size_t>(token + 1)]);
    result.first_visible.push_back(static_cast<std::int32_t>(visible));
    result.positions.push_back(static_cast<std::int32_t>(position - visible));
    result.domains.push_back(stream.header.document_domains[document_of(token + 1)]);
  }
  return result;
}

class SequenceReaderTest : public ::testing::TestWithParam<bool> {
 protected:
  storage::ScratchFolder folder_;
  TestStream stream_ = make_stream(random_documents(60), 4, 500);
  TokenDataset dataset_ = make_dataset(folder_ / "a", stream_);
  StreamOrder order_;
};

INSTANTIATE_TEST_SUITE_P(DocumentMask, SequenceReaderTest, ::testing::Bool());

TEST_P(SequenceReaderTest, EqualsThePlainDefinition) {
  for (const std::int64_t length : {1, 2, 7, 16, 33}) {
    SequenceReader reader(dataset_, order_, length, GetParam());
    for (std::int64_t window = 0; window < window_count(dataset_, length); ++window) {
      const Sequences& sequence = reader.read(std::array{window});
      const Sequences expected = plain_sequence(stream_, window, length, GetParam());
      ASSERT_EQ(sequence.count, 1);
      ASSERT_EQ(sequence.length, length);
      ASSERT_EQ(sequence.tokens, expected.tokens) << window;
      ASSERT_EQ(sequence.targets, expected.targets) << window;
      ASSERT_EQ(sequence.positions, expected.positions) << window;
      ASSERT_EQ(sequence.first_visible, expected.first_visible) << window;
      ASSERT_EQ(sequence.domains, expected.domains) << window;
    }
  }
}

TEST_P(SequenceReaderTest, PrefetchesUpToTheLastWindow) {
  const std::int64_t length = dataset_.token_count() - 1;
  const SequenceReader reader(dataset_, order_, length, GetParam());
  EXPECT_NO_THROW(reader.prefetch(0));
  EXPECT_THROW(reader.prefetch(1), Error);
}

TEST_P(SequenceReaderTest, CountsPredictedTokensAsTheMaskDoes) {
  for (const std::int64_t length : {1, 7, 33}) {
    SequenceReader reader(dataset_, order_, length, GetParam());
    std::int64_t masked = 0;
    for (std::int64_t window = 0; window < window_count(dataset_, length); ++window) {
      const auto& targets = reader.read(std::array{window}).targets;
      const std::int64_t predicted = length - std::count(targets.begin(), targets.end(), kMaskedTarget);
      EXPECT_EQ(reader.predicted_tokens(window), predicted) << window;
      masked += length - predicted;
    }
    EXPECT_EQ(masked > 0, GetParam());
  }
}

TEST_P(SequenceReaderTest, ReadsManySequencesAsItReadsThemAlone) {
  SequenceReader reader(dataset_, order_, 16, GetParam());
  const std::vector<std::int64_t> numbers{5, 0, 11, 5};
  const Sequences together = reader.read(numbers);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Sequences& alone = reader.read(std::array{numbers[i]});
    const auto row = static_cast<std::ptrdiff_t>(i * 16);
    EXPECT_TRUE(std::equal(alone.tokens.begin(), alone.tokens.end(), together.tokens.begin() + row));
    EXPECT_TRUE(std::equal(alone.targets.begin(), alone.targets.end(), together.targets.begin() + row));
    EXPECT_TRUE(std::equal(alone.first_visible.begin(), alone.first_visible.end(),
                           together.first_visible.begin() + row));
  }
}

TEST_P(SequenceReaderTest, DoesNotAllocateAgain) {
  SequenceReader reader(dataset_, order_, 16, GetParam());
  const std::vector<std::int64_t> numbers{1, 2, 3};
  const std::int32_t* before = reader.read(numbers).targets.data();
  (void)reader.read(std::array<std::int64_t, 1>{4});
  EXPECT_EQ(reader.read(numbers).targets.data(), before);
}

TEST_P(SequenceReaderTest, ReadsNothingForAWorkerWithoutSequences) {
  SequenceReader reader(dataset_, order_, 16, GetParam());
  const Sequences& sequences = reader.read({});
  EXPECT_EQ(sequences.count, 0);
  EXPECT_TRUE(sequences.tokens.empty());
}

TEST_P(SequenceReaderTest, AnEpochPredictsEveryTokenOnce) {
  constexpr std::int64_t kLength = 16;
  const BatchOrder order(dataset_, kLength, 9);
  SequenceReader reader(dataset_, order, kLength, GetParam());
  const std::int64_t windows = window_count(dataset_, kLength);
  std::vector<int> predicted(stream_.tokens.size(), 0);
  for (std::int64_t number = 0; number < windows; ++number) {
    const Sequences& sequence = reader.read(std::array{number});
    const std::int64_t first = order.window(number) * kLength + 1;
    for (std::int64_t i = 0; i < kLength; ++i) {
      predicted[static_cast<std::size_t>(first + i)] +=
          sequence.targets[static_cast<std::size_t>(i)] != kMaskedTarget;
    }
  }
  const auto& offsets = stream_.header.document_offsets;
  for (std::int64_t token = 0; token < static_cast<std::int64_t>(predicted.size()); ++token) {
    const bool frame = std::binary_search(offsets.begin(), offsets.end(), token);
    const bool expected = token > 0 && token <= windows * kLength && !(frame && GetParam());
    EXPECT_EQ(predicted[static_cast<std::size_t>(token)], expected ? 1 : 0) << token;
  }
}

}  // namespace
}  // namespace troupe::data
