#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>

#include "base/file.h"

namespace troupe::storage {

/// A file that is written piece by piece, and appears under its name when it is whole and on the disk: until
/// then it is PATH.tmp, which goes when this does. Throws kIo.
class PendingFile {
 public:
  /// Replaces a PATH.tmp that is there.
  explicit PendingFile(std::filesystem::path path);
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();

  void write(std::span<const std::byte> bytes);
  /// The last call. The folder is not synced.
  void finish();

 private:
  [[nodiscard]] std::filesystem::path temporary() const;

  std::filesystem::path path_;
  std::optional<FileDescriptor> file_;
};

}  // namespace troupe::storage
