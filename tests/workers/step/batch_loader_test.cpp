#include "workers/step/batch_loader.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/data/token_files.h"
#include "tests/scratch_folder.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kLength = 4;

/// Windows of 4 tokens as they lie in the stream, again and again; remembers which sequences were asked for.
class RecordingOrder final : public data::SequenceOrder {
 public:
  explicit RecordingOrder(std::int64_t windows) : windows_(windows) {}
  void append_pieces(std::int64_t number, std::vector<data::TokenPiece>& pieces) const override {
    asked.push_back(number);
    pieces.push_back({number % windows_ * kLength, kLength + 1});
  }

  mutable std::vector<std::int64_t> asked;

 private:
  std::int64_t windows_;
};

TEST(BatchLoader, LoadsAMicrobatchAndReadsAheadItsPlaceInTheNextBatch) {
  const test::ScratchFolder folder;
  const data::TestStream stream = data::make_stream({{0, 101}}, 1, 1000);
  const data::TokenDataset dataset = data::make_dataset(folder / "train.h5", stream);
  const RecordingOrder order(data::window_count(dataset, kLength));
  BatchLoader loader(dataset, order, kLength, /*document_mask=*/false,
                     {.accumulation_steps = 3, .grad_lanes = 2, .expert_lanes = 1, .micro_batch = 2});
  const MicrobatchInput input = loader.load(14);
  EXPECT_EQ(order.asked, (std::vector<std::int64_t>{14, 15, 26, 27}));
  EXPECT_EQ(input.first_token, 14 * kLength);
  for (std::int64_t i = 0; i < 2 * kLength; ++i) {
    const auto place = static_cast<std::size_t>(14 * kLength + i);
    EXPECT_EQ(input.tokens.i32()[i], stream.tokens[place]);
    EXPECT_EQ(input.targets.i32()[i], stream.tokens[place + 1]);
  }
}

}  // namespace
}  // namespace troupe::workers
