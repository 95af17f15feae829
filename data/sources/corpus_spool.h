#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/corpus/document.h"
#include "data/token_dataset.h"

namespace troupe::data {

/// What is kept of every document while a corpus is made: memory grows by these 48 bytes (and what remembers
/// duplicates), not by the text.
struct DocumentRecord {
  ContentHash hash = {};
  std::int64_t tokens = 0;  // with what frames it
  std::int64_t bytes = 0;   // of text
  std::int32_t domain = 0;
  std::int32_t heldout = 0;   // 1: it is
  std::int32_t borders = 0;   // of its spans of trained tokens
  std::int32_t rejected = 0;  // of a preference: tokens of its second half, which are among `tokens`
};

/// The tokens of documents in the order in which they were read, in files of a folder, until it is known how
/// many there are. A spool that was cut off is taken up again at a place that was reached before.
/// Not thread-safe.
class CorpusSpool {
 public:
  /// Takes up what is there up to `documents`, and drops the rest.
  CorpusSpool(const std::filesystem::path& folder, std::int64_t token_bytes, std::int64_t documents = 0);

  /// trained: borders of spans as in trained_spans.h, counted from the document's first token
  void append(DocumentRecord record, std::span<const std::int32_t> tokens,
              std::span<const std::int64_t> trained = {});
  /// Everything so far is in the files; how many documents that is.
  std::int64_t flush();

  [[nodiscard]] std::vector<DocumentRecord>& records() { return records_; }

  /// Writes the documents that are held out, or the others, sorted by domain, else in their order. `header`
  /// has everything but offsets, domains and spans; masked: those are written, too. With header.pairs a
  /// record is two documents.
  void write_token_file(const std::filesystem::path& file, TokenFileHeader header, bool heldout, bool masked);

 private:
  void take_up(std::int64_t documents);
  /// Of all documents, in the order of the spool.
  template <class Size>
  [[nodiscard]] std::vector<std::int64_t> begins_of(Size DocumentRecord::*size) const;
  [[nodiscard]] std::vector<std::uint32_t> order_of(bool heldout) const;
  [[nodiscard]] TrainedSpans spans_of(std::span<const std::uint32_t> order) const;

  std::filesystem::path records_path_;
  std::filesystem::path tokens_path_;
  std::filesystem::path trained_path_;
  std::int64_t token_bytes_;
  FileDescriptor records_file_;
  FileDescriptor tokens_file_;
  FileDescriptor trained_file_;
  std::vector<DocumentRecord> records_;
  std::size_t flushed_records_ = 0;
  std::vector<std::int64_t> trained_;  // borders of all documents
  std::size_t flushed_trained_ = 0;
  std::vector<std::byte> buffer_;  // of tokens
};

}  // namespace troupe::data
