#include "data/sequence_reader.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "data/batch_order.h"
#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::data {
namespace {

/// Windows as they lie in the stream.
class StreamOrder final : public SequenceOrder {
 public:
  explicit StreamOrder(std::int64_t length) : length_(length) {}
  void append_pieces(std::int64_t number, std::vector<TokenPiece>& pieces) const override {
    pieces.push_back({number * length_, length_ + 1});
  }

 private:
  std::int64_t length_;
};

/// One sequence of pieces that are given.
class PieceOrder final : public SequenceOrder {
 public:
  explicit PieceOrder(std::vector<TokenPiece> pieces) : pieces_(std::move(pieces)) {}
  void append_pieces(std::int64_t /*number*/, std::vector<TokenPiece>& pieces) const override {
    pieces.insert(pieces.end(), pieces_.begin(), pieces_.end());
  }

 private:
  std::vector<TokenPiece> pieces_;
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
    // An end of text begins the next document, as an input.
    const bool ends = stream.tokens[static_cast<std::size_t>(token)] == stream.header.end_of_text;
    const std::int64_t document = stream.header.document_offsets[document_of(token)];
    const std::int64_t begin = ends ? token : std::max<std::int64_t>(document - 1, 0);
    const std::int64_t visible = document_mask ? std::max<std::int64_t>(begin - window * length, 0) : 0;
    result.tokens.push_back(stream.tokens[static_cast<std::size_t>(token)]);
    result.targets.push_back(stream.tokens[static_cast<std::size_t>(token + 1)]);
    result.first_visible.push_back(static_cast<std::int32_t>(visible));
    result.positions.push_back(static_cast<std::int32_t>(position - visible));
    result.domains.push_back(stream.header.document_domains[document_of(token + 1)]);
  }
  return result;
}

class SequenceReaderTest : public ::testing::TestWithParam<bool> {
 protected:
  test::ScratchFolder folder_;
  TestStream stream_ = make_stream(random_documents(60), 4, 500);
  TokenDataset dataset_ = make_dataset(folder_ / "a", stream_);
};

INSTANTIATE_TEST_SUITE_P(DocumentMask, SequenceReaderTest, ::testing::Bool());

TEST_P(SequenceReaderTest, EqualsThePlainDefinition) {
  for (const std::int64_t length : {1, 2, 7, 16, 33}) {
    const StreamOrder order(length);
    SequenceReader reader(dataset_, order, length, GetParam());
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
  const StreamOrder order(length);
  const SequenceReader reader(dataset_, order, length, GetParam());
  EXPECT_NO_THROW(reader.prefetch(0));
  EXPECT_THROW(reader.prefetch(1), Error);
}

TEST_P(SequenceReaderTest, PredictsEveryTokenOfWholeDocuments) {
  const StreamOrder order(7);
  SequenceReader reader(dataset_, order, 7, GetParam());
  for (std::int64_t window = 0; window < window_count(dataset_, 7); ++window) {
    const auto& targets = reader.read(std::array{window}).targets;
    EXPECT_EQ(std::count(targets.begin(), targets.end(), kMaskedTarget), 0) << window;
    EXPECT_EQ(reader.targets(window), 7) << window;
  }
}

TEST_P(SequenceReaderTest, ReadsManySequencesAsItReadsThemAlone) {
  const StreamOrder order(16);
  SequenceReader reader(dataset_, order, 16, GetParam());
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
  const StreamOrder order(16);
  SequenceReader reader(dataset_, order, 16, GetParam());
  const std::vector<std::int64_t> numbers{1, 2, 3};
  const std::int32_t* before = reader.read(numbers).targets.data();
  (void)reader.read(std::array<std::int64_t, 1>{4});
  EXPECT_EQ(reader.read(numbers).targets.data(), before);
}

TEST_P(SequenceReaderTest, ReadsNothingForAWorkerWithoutSequences) {
  const StreamOrder order(16);
  SequenceReader reader(dataset_, order, 16, GetParam());
  const Sequences& sequences = reader.read({});
  EXPECT_EQ(sequences.count, 0);
  EXPECT_TRUE(sequences.tokens.empty());
}

/// A third of the tokens are trained, wherever they stand.
TrainedSpans random_spans(std::int64_t tokens) {
  const Random random(4, RandomPurpose::kTest);
  std::vector<std::int64_t> borders;
  for (std::int64_t token = 0; token < tokens; ++token) {
    if (random.below(static_cast<std::uint64_t>(token), 3) == 0) append_span(token, token + 1, borders);
  }
  return TrainedSpans(std::move(borders));
}

TEST_P(SequenceReaderTest, MasksWhatIsContextOnlyAndCountsTheRest) {
  stream_.header.trained = random_spans(dataset_.token_count());
  const TokenDataset masked = make_dataset(folder_ / "masked", stream_);
  for (const std::int64_t length : {1, 7, 33}) {
    const StreamOrder order(length);
    SequenceReader reader(masked, order, length, GetParam());
    SequenceReader plain(dataset_, order, length, GetParam());
    for (std::int64_t window = 0; window < window_count(masked, length); ++window) {
      Sequences expected = plain.read(std::array{window});
      for (std::int64_t i = 0; i < length; ++i) {
        if (!stream_.header.trained.contains(window * length + i + 1))
          expected.targets[static_cast<std::size_t>(i)] = kMaskedTarget;
      }
      const Sequences& sequence = reader.read(std::array{window});
      ASSERT_EQ(sequence.targets, expected.targets) << window;
      ASSERT_EQ(sequence.tokens, expected.tokens) << window;
      ASSERT_EQ(sequence.positions, expected.positions) << window;
      ASSERT_EQ(reader.targets(window), length - std::ranges::count(expected.targets, kMaskedTarget))
          << window;
    }
  }
}

TEST_P(SequenceReaderTest, CountsTheTargetsOfShuffledDocumentsWithoutReadingThem) {
  stream_.header.trained = random_spans(dataset_.token_count());
  stream_.header.begin_of_text = 499;  // borders between documents are masked, too
  const TokenDataset masked = make_dataset(folder_ / "masked", stream_);
  const BatchOrder order(masked, 16, 1);
  SequenceReader reader(masked, order, 16, GetParam());
  for (std::int64_t number = 0; number < 200; ++number) {
    const auto& targets = reader.read(std::array{number}).targets;
    ASSERT_EQ(reader.targets(number), 16 - std::ranges::count(targets, kMaskedTarget)) << number;
  }
}

/// Documents "1 2 3 0" and "5 6 0", after each other and cut: ids tell the place, 0 ends a text.
class PiecesTest : public ::testing::Test {
 protected:
  Sequences read(std::vector<TokenPiece> pieces, std::int32_t begin_of_text = kNoToken) {
    TestStream stream = make_stream({{0, 3}, {1, 2}}, 2, 50);
    stream.header.begin_of_text = begin_of_text;
    const TokenDataset dataset = make_dataset(folder_ / std::to_string(files_++), stream);
    std::int64_t tokens = 0;
    for (const TokenPiece& piece : pieces) tokens += piece.count;
    const PieceOrder order(std::move(pieces));
    SequenceReader reader(dataset, order, tokens - 1, true);
    Sequences sequences = reader.read(std::array<std::int64_t, 1>{0});
    const auto& targets = sequences.targets;
    EXPECT_EQ(reader.targets(0), tokens - 1 - std::count(targets.begin(), targets.end(), kMaskedTarget));
    return sequences;
  }

  test::ScratchFolder folder_;
  int files_ = 0;
};

using Numbers = std::vector<std::int32_t>;

TEST_F(PiecesTest, WholeDocumentsShareTheEndOfTextBetweenThem) {
  const Sequences sequences = read({{4, 3}, {0, 4}});
  EXPECT_EQ(sequences.tokens, (Numbers{5, 6, 0, 1, 2, 3}));
  EXPECT_EQ(sequences.targets, (Numbers{6, 0, 1, 2, 3, 0}));
  EXPECT_EQ(sequences.first_visible, (Numbers{0, 0, 2, 2, 2, 2}));
  EXPECT_EQ(sequences.positions, (Numbers{0, 1, 0, 1, 2, 3}));
  EXPECT_EQ(sequences.domains, (Numbers{1, 1, 0, 0, 0, 0}));
}

TEST_F(PiecesTest, ACutDocumentDoesNotPredictTheNext) {
  const Sequences sequences = read({{0, 2}, {4, 3}});
  EXPECT_EQ(sequences.tokens, (Numbers{1, 2, 5, 6}));
  EXPECT_EQ(sequences.targets, (Numbers{2, kMaskedTarget, 6, 0}));
  EXPECT_EQ(sequences.first_visible, (Numbers{0, 0, 2, 2}));
  EXPECT_EQ(read({{4, 3}, {1, 2}}).targets, (Numbers{6, 0, kMaskedTarget, 3}));
}

TEST_F(PiecesTest, ABeginOfTextIsNotPredicted) {
  const Sequences sequences = read({{4, 3}, {0, 4}}, 1);
  EXPECT_EQ(sequences.targets, (Numbers{6, 0, kMaskedTarget, 2, 3, 0}));
  EXPECT_EQ(sequences.first_visible, (Numbers{0, 0, 0, 3, 3, 3}));
  EXPECT_EQ(sequences.domains, (Numbers{1, 1, 0, 0, 0, 0}));
}

}  // namespace
}  // namespace troupe::data
