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

BatchLoader::BatchLoader(const data::TokenDataset& dataset, const data::SequenceOrder& order,
                         std::int64_t length, bool document_mask, const layout::BatchShape& batch)
    : reader_(dataset, order, length, document_mask),
      length_(length),
      batch_(batch),
      numbers_(at(batch.micro_batch)) {}

std::int64_t BatchLoader::target_tokens(std::int64_t first_sequence) const {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < batch_.sequences(); ++i) total += reader_.predicted_tokens(first_sequence + i);
  return total;
}

MicrobatchInput BatchLoader::load(std::int64_t first_sequence) {
  std::iota(numbers_.begin(), numbers_.end(), first_sequence);
  MicrobatchInput input = as_input(reader_.read(numbers_));
  for (const std::int64_t number : numbers_) reader_.prefetch(number + batch_.sequences());
  input.first_token = first_sequence * length_;
  return input;
}

}  // namespace troupe::workers
