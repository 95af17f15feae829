#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/byte_stream.h"
#include "data/sources/inputs.h"

namespace troupe::data {

struct ReadOptions {
  std::string separator;                        // a line that separates documents in text files; empty: none
  std::int64_t document_bytes = 256 << 10;      // longer texts of a text file are cut at blank lines
  std::int64_t longest_line_bytes = 256 << 20;  // longer JSON lines are left out
  std::int32_t end_of_text = -1;                // id that ends documents in token files; needed for those
};

/// How far inputs were read: everything before it is done.
struct InputPosition {
  std::int64_t file = 0;       // in the list
  std::int64_t documents = 0;  // of that file, faulty ones included
  bool operator==(const InputPosition&) const = default;
};

/// Some documents as they lie in one file: cut apart, not understood yet.
struct RawBatch {
  struct Document {
    std::size_t begin = 0;  // in bytes
    std::size_t size = 0;
    std::int64_t place = 0;  // line, or number of the piece, counted from 1
  };
  const InputFile* file = nullptr;
  std::string bytes;  // text or lines; of token files the ids, four bytes each
  std::vector<Document> documents;
  std::int64_t too_long = 0;  // lines that were left out
  InputPosition end;

  [[nodiscard]] std::string_view text(const Document& document) const {
    return std::string_view(bytes).substr(document.begin, document.size);
  }
};

/// Cuts one file into documents. Memory is bounded by the longest document, not by the file.
class DocumentCutter {
 public:
  virtual ~DocumentCutter() = default;
  /// Appends the next document's bytes; false at the end of the file.
  virtual bool next(std::string& bytes) = 0;
  /// Documents that were skipped so far because they are too long.
  [[nodiscard]] virtual std::int64_t too_long() const { return 0; }
  [[nodiscard]] virtual std::int64_t consumed_bytes() const = 0;
};

[[nodiscard]] std::unique_ptr<DocumentCutter> make_text_cutter(const InputFile& file,
                                                               const ReadOptions& options);
[[nodiscard]] std::unique_ptr<DocumentCutter> make_line_cutter(const InputFile& file,
                                                               const ReadOptions& options);

/// Reads files one after the other, in batches of some megabytes. Not thread-safe; `files` outlive it.
class InputReader {
 public:
  InputReader(std::span<const InputFile> files, ReadOptions options, InputPosition start = {});

  /// The next documents, of one file; false when all are read. kCorrupt, kIo name the file.
  bool next(RawBatch& batch);

  /// Packed bytes of all files that were read so far, and of all files.
  [[nodiscard]] std::int64_t consumed_bytes() const;
  [[nodiscard]] std::int64_t total_bytes() const { return total_bytes_; }

 private:
  void open_file();

  std::span<const InputFile> files_;
  ReadOptions options_;
  InputPosition position_;
  std::int64_t skipped_too_long_ = 0;
  std::unique_ptr<DocumentCutter> cutter_;
  std::int64_t finished_bytes_ = 0;
  std::int64_t total_bytes_ = 0;
};

}  // namespace troupe::data
