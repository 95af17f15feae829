#include "data/sequence_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::data {

SequenceReader::SequenceReader(const TokenDataset& dataset, const SequenceOrder& order, std::int64_t length,
                               bool document_mask)
    : dataset_(dataset),
      order_(order),
      length_(length),
      document_mask_(document_mask),
      window_(at(length) + 1) {
  sequences_.length = length;
  // At worst every token is a document: a step allocates nothing.
  pieces_.reserve(window_.size());
  borders_.reserve(window_.size());
}

const Sequences& SequenceReader::read(std::span<const std::int64_t> numbers) {
  resize(static_cast<std::int64_t>(numbers.size()));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::int64_t row = static_cast<std::int64_t>(i) * length_;
    find_borders(numbers[i]);
    read_window();
    std::copy(window_.begin(), window_.end() - 1, sequences_.tokens.begin() + row);
    std::copy(window_.begin() + 1, window_.end(), sequences_.targets.begin() + row);
    fill_documents(row);
    if (!dataset_.header().trained.all()) mask_context(row);
  }
  return sequences_;
}

void SequenceReader::prefetch(std::int64_t number) const {
  pieces_.clear();
  order_.append_pieces(number, pieces_);
  for (const TokenPiece& piece : pieces_) dataset_.prefetch(piece.first, piece.count);
}

std::int64_t SequenceReader::targets(std::int64_t number) const {
  const TrainedSpans& trained = dataset_.header().trained;
  if (!document_mask_ && trained.all()) return length_;
  find_borders(number);
  std::int64_t count = 0;
  for (const TokenPiece& piece : pieces_) count += trained.count(piece.first, piece.count);
  for (const Border& border : borders_) {
    const bool predicted = border.place > 0 && (!document_mask_ || border.shares_end_of_text);
    if (!predicted) count -= trained.count(border.token, 1);
  }
  return count;
}

bool SequenceReader::shares_end_of_text(std::int64_t last, std::int64_t first) const {
  const auto& offsets = dataset_.header().document_offsets;
  return dataset_.header().begin_of_text == kNoToken &&
         std::binary_search(offsets.begin(), offsets.end(), last + 1) &&
         std::binary_search(offsets.begin(), offsets.end(), first);
}

void SequenceReader::find_borders(std::int64_t number) const {
  pieces_.clear();
  borders_.clear();
  order_.append_pieces(number, pieces_);
  std::int64_t place = 0;
  std::int64_t last = -1;  // token before the piece
  for (const TokenPiece& piece : pieces_) {
    std::int64_t document = dataset_.document_at(piece.first);
    for (std::int64_t token = piece.first; token < piece.end(); ++document) {
      borders_.push_back({.place = place,
                          .token = token,
                          .domain = dataset_.header().document_domains[at(document)],
                          .shares_end_of_text = last >= 0 && shares_end_of_text(last, token)});
      const std::int64_t end = std::min(dataset_.document(document).end(), piece.end());
      place += end - token;
      token = end;
      last = end - 1;
    }
  }
  TROUPE_CHECK(place == length_ + 1, "sequence {} has {} tokens instead of {}", number, place, length_ + 1);
}

void SequenceReader::read_window() {
  auto rest = std::span(window_);
  for (const TokenPiece& piece : pieces_) {
    dataset_.read(piece.first, rest.first(at(piece.count)));
    rest = rest.subspan(at(piece.count));
  }
}

void SequenceReader::resize(std::int64_t count) {
  sequences_.count = count;
  const auto size = at(count * length_);
  for (auto* values : {&sequences_.tokens, &sequences_.targets, &sequences_.positions,
                       &sequences_.first_visible, &sequences_.domains}) {
    values->resize(size);
  }
}

/// Everything that follows from where documents begin, for the sequence in `row`.
void SequenceReader::fill_documents(std::int64_t row) {
  auto border = borders_.begin();
  std::int32_t domain = border->domain;
  std::int64_t visible = 0;
  ++border;
  for (std::int64_t position = 0; position < length_; ++position) {
    const auto index = at(row + position);
    const bool at_border = border != borders_.end() && border->place == position + 1;
    const bool masked = at_border && document_mask_ && !border->shares_end_of_text;
    if (at_border && document_mask_ && !masked) visible = position;
    sequences_.first_visible[index] = static_cast<std::int32_t>(visible);
    sequences_.positions[index] = static_cast<std::int32_t>(position - visible);
    if (at_border) domain = (border++)->domain;
    sequences_.domains[index] = domain;
    if (!masked) continue;
    sequences_.targets[index] = kMaskedTarget;
    visible = position + 1;
  }
}

/// Of the sequence in `row`: targets that are context only.
void SequenceReader::mask_context(std::int64_t row) {
  std::int64_t index = row - 1;  // the first token of a window is no target
  for (const TokenPiece& piece : pieces_) {
    for (std::int64_t token = piece.first; token < piece.end(); ++token, ++index) {
      if (index >= row && !dataset_.header().trained.contains(token))
        sequences_.targets[at(index)] = kMaskedTarget;
    }
  }
}

}  // namespace troupe::data
