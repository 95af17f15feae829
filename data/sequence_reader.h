#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/windows.h"

namespace troupe::data {

/// Reads sequences by their number, from a training or an evaluation order.
/// With `document_mask`, attention stays inside a document, positions restart there, and the target
/// after a document's end (the next document's frame) is masked.
/// Not thread-safe; each reader has its own buffers. Dataset and order outlive it.
class SequenceReader {
 public:
  SequenceReader(const TokenDataset& dataset, const SequenceOrder& order, std::int64_t length,
                 bool document_mask);

  /// Sequence i of the result is `numbers[i]`. Valid until the next call; does not allocate once it
  /// has been called with as many numbers.
  const Sequences& read(std::span<const std::int64_t> numbers);

  /// Has the tokens of a sequence that will be read soon brought into memory, without waiting.
  void prefetch(std::int64_t number) const;

  /// Targets of this sequence that are not masked, from the document offsets alone.
  [[nodiscard]] std::int64_t predicted_tokens(std::int64_t number) const;

 private:
  void resize(std::int64_t count);
  void fill_documents(std::int64_t first_token, std::int64_t row);

  const TokenDataset& dataset_;
  const SequenceOrder& order_;
  std::int64_t length_;
  bool document_mask_;
  std::vector<std::int32_t> window_;  // [length + 1]
  Sequences sequences_;
};

}  // namespace troupe::data
