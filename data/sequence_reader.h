#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/batch_reader.h"
#include "data/windows.h"

namespace troupe::data {

/// Reads sequences by their number, from a training or an evaluation order.
/// With `document_mask`, attention stays inside a document and positions restart there. Documents without a
/// token of their own at the begin share the end of text between them: it ends one document as a target, and
/// begins the next as an input, which sees it and nothing before. Where no end of text lies between (a
/// document that was cut, a begin of text) the target across the border is masked. So is, in any case, what
/// the dataset says is context only. Dataset and order outlive it.
class SequenceReader final : public BatchReader {
 public:
  SequenceReader(const TokenDataset& dataset, const SequenceOrder& order, std::int64_t length,
                 bool document_mask);

  const Sequences& read(std::span<const std::int64_t> numbers) override;
  void prefetch(std::int64_t number) const override;
  /// Targets of this sequence that are not masked.
  [[nodiscard]] std::int64_t targets(std::int64_t number) const override;

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
