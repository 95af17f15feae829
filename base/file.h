#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace troupe {

/// A POSIX file descriptor: move-only, closed by the destructor (which logs, never throws).
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  /// open(2) with O_CLOEXEC; throws kIo naming the path.
  static FileDescriptor open(const std::filesystem::path& path, int flags, unsigned mode = 0644);

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  /// Closes now and reports failure: after writing, an ignored close loses data.
  void close();

 private:
  int fd_ = -1;
};

/// Whole file as bytes; refuses files larger than `limit_bytes` (kCorrupt) before reading.
[[nodiscard]] std::string read_file(const std::filesystem::path& path, std::size_t limit_bytes);

/// Writes all bytes, retrying short writes; throws kIo.
void write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
               const std::filesystem::path& path);

/// As write_all for a file that only grows: when it fails, what got through is cut off again, so that the
/// file still ends where a line ends. Throws kIo.
void append_all(const FileDescriptor& file, std::span<const std::byte> bytes,
                const std::filesystem::path& path);

/// Replaces `path` so that a reader sees the old or the new content, also after a crash:
/// write to a temporary beside it, fsync, rename, fsync of the folder.
void write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644);

/// fsync of a folder: makes a rename or a new name in it durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace troupe
