#include "data/preferences/pair_reader.h"

#include <algorithm>
#include <numeric>

#include "base/index.h"

namespace troupe::data {

const Sequences& PairReader::read(std::span<const std::int64_t> numbers) {
  sequences_.count = std::ssize(numbers);
  const auto size = at(sequences_.count * length_);
  for (auto* values : {&sequences_.tokens, &sequences_.targets, &sequences_.positions,
                       &sequences_.first_visible, &sequences_.domains}) {
    values->resize(size);
  }
  sequences_.pairs.clear();
  sequences_.pairs.reserve(size / 2);  // a half has at least one token
  for (std::size_t i = 0; i < numbers.size(); ++i)
    read_sequence(numbers[i], static_cast<std::int64_t>(i) * length_);
  return sequences_;
}

void PairReader::prefetch(std::int64_t number) const {
  for (const std::int64_t pair : order_.pairs(number)) {
    const TokenPiece chosen = dataset_.document(2 * pair);  // the rejected half follows it
    dataset_.prefetch(chosen.first, chosen.count + dataset_.document(2 * pair + 1).count);
  }
}

void PairReader::read_sequence(std::int64_t number, std::int64_t row) {
  const auto pairs = order_.pairs(number);
  std::int64_t place = 0;
  for (const std::int64_t pair : pairs) {
    const std::int64_t middle = read_half(2 * pair, row, place, true);
    const std::int64_t end = read_half(2 * pair + 1, row, middle, true);
    sequences_.pairs.push_back({pair, row + place, row + middle, row + end});
    place = end;
  }
  for (std::int64_t half = 0; place < length_; ++half) {
    const std::int64_t pair = pairs[at(half / 2 % std::ssize(pairs))];
    place = read_half(2 * pair + half % 2, row, place, false);
  }
}

/// Where the next half begins in the sequence.
std::int64_t PairReader::read_half(std::int64_t document, std::int64_t row, std::int64_t place,
                                   bool trained) {
  const TokenPiece piece = dataset_.document(document);
  const std::int64_t lead = half_tokens(dataset_, document) - piece.count;
  const std::int64_t count = std::min(lead + piece.count, length_ - place);
  const std::int64_t first = row + place;
  const auto part = [&](std::vector<std::int32_t>& values) {
    return std::span(values).subspan(at(first), at(count));
  };
  const auto tokens = part(sequences_.tokens);
  if (lead > 0) tokens.front() = dataset_.header().end_of_text;
  dataset_.read(piece.first, tokens.subspan(at(lead)));
  std::ranges::fill(part(sequences_.targets), kMaskedTarget);
  std::iota(part(sequences_.positions).begin(), part(sequences_.positions).end(), 0);
  std::ranges::fill(part(sequences_.first_visible), static_cast<std::int32_t>(place));
  std::ranges::fill(part(sequences_.domains), dataset_.header().document_domains[at(document)]);
  if (trained) mark_targets(document, first, lead, count);
  return place + count;
}

/// first: of the half in the sequences; lead: tokens before its document
void PairReader::mark_targets(std::int64_t document, std::int64_t first, std::int64_t lead,
                              std::int64_t count) {
  const std::int64_t begin = dataset_.document(document).first - lead;  // of the half, in the dataset
  for (std::int64_t i = 1; i < count; ++i) {
    if (!dataset_.header().trained.contains(begin + i)) continue;
    sequences_.targets[at(first + i - 1)] = sequences_.tokens[at(first + i)];
  }
}

}  // namespace troupe::data
