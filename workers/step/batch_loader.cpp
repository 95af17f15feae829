#include "workers/step/batch_loader.h"

#include <numeric>

#include "base/index.h"

namespace troupe::workers {

MicrobatchInput as_input(const data::Sequences& sequences) {
  const Shape shape{sequences.count * sequences.length};
  return {.tokens = {sequences.tokens.data(), shape},
          .targets = {sequences.targets.data(), shape},
          .positions = {sequences.positions.data(), shape},
          .first_visible = {sequences.first_visible.data(), shape},
          .domains = {sequences.domains.data(), shape}};
}

void as_pairs(const data::Sequences& sequences, std::span<const model::PairScores> reference,
              std::vector<PreferencePair>& pairs) {
  pairs.clear();
  for (const data::PlacedPair& placed : sequences.pairs) {
    const auto before = reference.empty() ? model::PairScores() : reference[at(placed.number)];
    pairs.push_back({.chosen = placed.chosen,
                     .rejected = placed.rejected,
                     .end = placed.end,
                     .reference = before.chosen - before.rejected});
  }
}

BatchLoader::BatchLoader(const data::TokenDataset& dataset, const data::SequenceOrder& order,
                         std::int64_t length, bool document_mask, const layout::BatchShape& batch)
    : reader_(std::make_unique<data::SequenceReader>(dataset, order, length, document_mask)),
      length_(length),
      batch_(batch),
      numbers_(at(batch.micro_batch)) {}

BatchLoader::BatchLoader(const data::TokenDataset& dataset, const data::PairOrder& order, std::int64_t length,
                         const layout::BatchShape& batch, const std::vector<model::PairScores>& reference)
    : reader_(std::make_unique<data::PairReader>(dataset, order, length)),
      length_(length),
      batch_(batch),
      numbers_(at(batch.micro_batch)),
      reference_(&reference) {
  pairs_.reserve(at(batch.micro_batch * length / 2));
}

std::int64_t BatchLoader::target_tokens(std::int64_t first_sequence) const {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < batch_.sequences(); ++i) total += reader_->targets(first_sequence + i);
  return total;
}

MicrobatchInput BatchLoader::load(std::int64_t first_sequence) {
  std::iota(numbers_.begin(), numbers_.end(), first_sequence);
  const data::Sequences& sequences = reader_->read(numbers_);
  MicrobatchInput input = as_input(sequences);
  if (reference_ != nullptr) as_pairs(sequences, *reference_, pairs_);
  input.pairs = pairs_;
  for (const std::int64_t number : numbers_) reader_->prefetch(number + batch_.sequences());
  input.first_token = first_sequence * length_;
  return input;
}

}  // namespace troupe::workers
