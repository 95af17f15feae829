#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/file.h"
#include "storage/hash.h"

namespace troupe::storage {

/// Size and hash of a file in a checkpoint folder.
struct FileDescription {
  std::string name;  // without folder
  std::int64_t size_bytes = 0;
  Hash128 hash;
  bool operator==(const FileDescription&) const = default;
};

/// Reads on from where the file stands: the bytes that were read, 0 at its end. `path` is for kIo's message.
[[nodiscard]] std::size_t read_piece(const FileDescriptor& file, std::span<std::byte> piece,
                                     const std::filesystem::path& path);

/// Reads the whole file; kIo.
[[nodiscard]] FileDescription describe_file(const std::filesystem::path& path);

/// Size of a regular file that is not a link; kCorrupt when it is missing or something else.
[[nodiscard]] std::int64_t regular_file_bytes(const std::filesystem::path& path);

/// kCorrupt, naming the file, unless `folder` holds it with exactly this size (and, second, hash).
void require_size(const std::filesystem::path& folder, const FileDescription& expected);
void require_content(const std::filesystem::path& folder, const FileDescription& expected);

/// Puts a file of these bytes on the disk: written, fsynced, dropped from the page cache, read back
/// and compared. kIo when any of that fails; no file remains then.
FileDescription write_verified(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Drops a file's clean pages from the page cache, so that the next read comes from the disk.
void drop_from_cache(const std::filesystem::path& path);

/// std::filesystem's functions with kIo for a failure; it is none when the path exists (or is gone) already.
void make_folders(const std::filesystem::path& folder);
void remove_tree(const std::filesystem::path& path);
[[nodiscard]] bool path_exists(const std::filesystem::path& path);
/// Atomically gives `from` the name `to`; kIo.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);

/// "12.3 MiB"
[[nodiscard]] std::string readable_bytes(std::int64_t bytes);

/// kIo "no disk space: needs X, has Y at PATH" when the folder's file system has less for this user.
void require_free_space(const std::filesystem::path& folder, std::int64_t bytes);

}  // namespace troupe::storage
