#include "data/sequence_reader.h"

#include <algorithm>

#include "base/error.h"

namespace troupe::data {

SequenceReader::SequenceReader(const TokenDataset& dataset, const SequenceOrder& order, std::int64_t length,
                               bool document_mask)
    : dataset_(dataset),
      order_(order),
      length_(length),
      document_mask_(document_mask),
      window_(static_cast<std::size_t>(length) + 1) {
  sequences_.length = length;
}

const Sequences& SequenceReader::read(std::span<const std::int64_t> numbers) {
  resize(static_cast<std::int64_t>(numbers.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::int64_t first_token = order_.window(numbers[i]) * length_;
    const std::int64_t row = static_cast<std::int64_t>(i) * length_;
    dataset_.read(first_token, window_);
    std::copy(window_.begin(), window_.end() - 1, sequences_.tokens.begin() + row);
    std::copy(window_.begin() + 1, window_.end(), sequences_.targets.begin() + row);
    fill_documents(first_token, row);
  }
  return sequences_;
}

void SequenceReader::prefetch(std::int64_t number) const {
  dataset_.prefetch(order_.window(number) * length_, length_ + 1);
}

std::int64_t SequenceReader::predicted_tokens(std::int64_t number) const {
  if (!document_mask_) return length_;
  const std::int64_t first_token = order_.window(number) * length_;
  const auto& offsets = dataset_.header().document_offsets;
  const auto begin = std::upper_bound(offsets.begin(), offsets.end(), first_token);
  const auto end = std::upper_bound(begin, offsets.end(), first_token + length_);
  return length_ - (end - begin);
}

void SequenceReader::resize(std::int64_t count) {
  sequences_.count = count;
  const auto size = static_cast<std::size_t>(count * length_);
  for (auto* values : {&sequences_.tokens, &sequences_.targets, &sequences_.positions,
                       &sequences_.first_visible, &sequences_.domains}) {
    values->resize(size);
  }
}

/// Everything that follows from where documents begin, for the sequence in `row`.
void SequenceReader::fill_documents(std::int64_t first_token, std::int64_t row) {
  const TokenFileHeader& header = dataset_.header();
  auto document = static_cast<std::size_t>(dataset_.document_at(first_token));
  std::int64_t visible = 0;
  for (std::int64_t position = 0; position < length_; ++position) {
    const auto index = static_cast<std::size_t>(row + position);
    sequences_.first_visible[index] = static_cast<std::int32_t>(visible);
    sequences_.positions[index] = static_cast<std::int32_t>(position - visible);
    if (header.document_offsets[document + 1] ==
        first_token + position + 1) {  // the target begins a document
      ++document;
      if (document_mask_) {
        sequences_.targets[index] = kMaskedTarget;
        visible = position + 1;
      }
    }
    sequences_.domains[index] = header.document_domains[document];
  }
}

}  // namespace troupe::data
