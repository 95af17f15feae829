#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "base/file.h"
#include "storage/hash.h"
#include "storage/verified_file.h"

namespace troupe::storage {

/// Fills the gaps of a file from its begin to its end, and hashes all of it on the way. The disk gets what
/// is written at once, while the next bytes are hashed. Throws kIo.
class FileFiller {
 public:
  explicit FileFiller(const std::filesystem::path& path);

  /// Keeps what the file holds, up to this byte.
  void keep_until(std::int64_t offset);
  /// `hasher` takes the bytes as well: each is fetched from memory once for both hashes.
  void write(std::span<const std::byte> bytes, Hasher& hasher);
  /// Keeps the rest, fsyncs. The file as it should read back.
  [[nodiscard]] FileDescription finish();

 private:
  void start_writeback();

  std::filesystem::path path_;
  FileDescriptor file_;
  Hasher hasher_;
  std::int64_t at_ = 0;
  std::int64_t given_to_disk_ = 0;  // bytes from the begin
  std::vector<std::byte> kept_;
};

}  // namespace troupe::storage
