#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/windows.h"

namespace troupe::data {

/// Reads sequences by their number, from a training or an evaluation order.
/// With `document_mask`, attention stays inside a document and positions restart there. Documents without a
/// token of their own at the begin share the end of text between them: it ends one document as a target, and
/// begins the next as an input, which sees it and nothing before. Where no end of text lies between (a
/// document that was cut, a begin of text) the target across the border is masked. So is, in any case, what
/// the dataset says is context only. Not thread-safe; each reader has its own buffers. Dataset and order
/// outlive it.
class SequenceReader {
 public:
  SequenceReader(const TokenDataset& dataset, const SequenceOrder& order, std::int64_t length,
                 bool document_mask);

  /// Sequence i of the result is `numbers[i]`. Valid until the next call; does not allocate once it
  /// has been called with as many numbers.
  const Sequences& read(std::span<const std::int64_t> numbers);

  /// Has the tokens of a sequence that will be read soon brought into memory, without waiting.
  void prefetch(std::int64_t number) const;

  /// Targets of this sequence that are not masked, from the file's header alone: no token is read.
  [[nodiscard]] std::int64_t predicted_tokens(std::int64_t number) const;

 private:
  /// A place where another document begins, or a piece of one.
  struct Border {
    std::int64_t place = 0;  // of its first token in the window
    std::int64_t token = 0;  // the same in the dataset
    std::int32_t domain = 0;
    bool shares_end_of_text = false;  // with the document before it
  };

  void find_borders(std::int64_t number) const;
  [[nodiscard]] bool shares_end_of_text(std::int64_t last, std::int64_t first) const;
  void resize(std::int64_t count);
  void read_window();
  void fill_documents(std::int64_t row);
  void mask_context(std::int64_t row);

  const TokenDataset& dataset_;
  const SequenceOrder& order_;
  std::int64_t length_;
  bool document_mask_;
  mutable std::vector<TokenPiece> pieces_;
  mutable std::vector<Border> borders_;  // the first at place 0
  std::vector<std::int32_t> window_;     // [length + 1]
  Sequences sequences_;
};

}  // namespace troupe::data
