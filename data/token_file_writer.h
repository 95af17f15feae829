#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/token_dataset.h"
#include "storage/hdf5/file.h"

namespace troupe::data {

/// Bytes that a file of this vocabulary stores a token in: 2 (u16) when they suffice, else 4 (i32).
[[nodiscard]] std::int64_t stored_token_bytes(std::int64_t vocab_size);

/// Writes a new token file piece by piece, durably; equal content gives equal bytes.
class TokenFileWriter {
 public:
  /// `header` is complete: it says how many tokens will follow.
  TokenFileWriter(const std::filesystem::path& file, TokenFileHeader header);

  /// Appends tokens as the file stores them: stored_token_bytes() each.
  void append(std::span<const std::byte> stored_tokens);
  /// Throws kInternal when header and tokens disagree, kIo.
  void finish();

 private:
  TokenFileHeader header_;
  std::int64_t width_;
  storage::hdf5::File file_;
  std::optional<storage::hdf5::Dataset> tokens_;  // closed before the file
  std::int64_t written_ = 0;
  std::vector<std::byte> chunk_;  // that is not full yet
  std::vector<std::int64_t> hashes_;
};

/// All at once. Throws kIo; kInternal when header and tokens disagree.
void write_token_file(const std::filesystem::path& file, const TokenFileHeader& header,
                      std::span<const std::int32_t> tokens);

}  // namespace troupe::data
