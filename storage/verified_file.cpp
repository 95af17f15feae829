#include "storage/verified_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iterator>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"

namespace troupe::storage {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

void write_durably(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  FileDescriptor file = FileDescriptor::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
  write_all(file, bytes, path);
  if (::fsync(file.get()) != 0) throw io_error("cannot fsync " + path.string());
  file.close();
}

}  // namespace

std::size_t read_piece(const FileDescriptor& file, std::span<std::byte> piece,
                       const std::filesystem::path& path) {
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got >= 0) return at(got);
    if (errno != EINTR) throw io_error("cannot read " + path.string());
  }
}

FileDescription describe_file(const std::filesystem::path& path) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY | O_NOFOLLOW);
  FileDescription description{path.filename().string(), 0, {}};
  Hasher hasher;
  std::vector<std::byte> piece(kPieceBytes);
  while (const std::size_t got = read_piece(file, piece, path)) {
    hasher.update(std::span(piece).first(got));
    description.size_bytes += static_cast<std::int64_t>(got);
  }
  description.hash = hasher.finish();
  return description;
}

std::int64_t regular_file_bytes(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) throw Error(ErrorCode::kCorrupt, "{} is missing", path.string());
    throw io_error("cannot stat " + path.string());
  }
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kCorrupt, "{} is not a regular file", path.string());
  return status.st_size;
}

void require_size(const std::filesystem::path& folder, const FileDescription& expected) {
  const std::filesystem::path path = folder / expected.name;
  const std::int64_t bytes = regular_file_bytes(path);
  if (bytes == expected.size_bytes) return;
  throw Error(ErrorCode::kCorrupt, "{} has {} bytes, the manifest says {}", path.string(), bytes,
              expected.size_bytes);
}

void require_content(const std::filesystem::path& folder, const FileDescription& expected) {
  require_size(folder, expected);
  const std::filesystem::path path = folder / expected.name;
  const FileDescription actual = describe_file(path);
  if (actual == expected) return;
  throw Error(ErrorCode::kCorrupt, "{} was changed: its hash is {}, the manifest says {}", path.string(),
              actual.hash.to_string(), expected.hash.to_string());
}

FileDescription write_verified(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  const FileDescription expected{path.filename().string(), static_cast<std::int64_t>(bytes.size()),
                                 hash_bytes(bytes)};
  try {
    write_durably(path, bytes);
    // Read back from the disk: the page cache would give the right bytes whatever became of them.
    drop_from_cache(path);
    if (describe_file(path) != expected) {
      throw Error(ErrorCode::kIo, "{} reads back with other bytes than were written", path.string());
    }
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
  return expected;
}

void drop_from_cache(const std::filesystem::path& path) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY | O_NOFOLLOW);
  errno = ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (errno != 0) throw io_error("cannot drop from the page cache " + path.string());
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(ErrorCode::kIo, "cannot make the folder {}: {}", folder.string(), error.message());
}

void remove_tree(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) throw Error(ErrorCode::kIo, "cannot remove {}: {}", path.string(), error.message());
}

bool path_exists(const std::filesystem::path& path) {
  std::error_code error;
  const bool exists = std::filesystem::exists(path, error);
  if (error) throw Error(ErrorCode::kIo, "cannot look for {}: {}", path.string(), error.message());
  return exists;
}

void rename_path(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw io_error(fmt::format("cannot rename {} to {}", from.string(), to.filename().string()));
  }
}

std::string readable_bytes(std::int64_t bytes) {
  constexpr std::string_view kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

void require_free_space(const std::filesystem::path& folder, std::int64_t bytes) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0)
    throw io_error("cannot ask for the free space of " + folder.string());
  // What this user may take; f_bfree has the reserve of root in it.
  const auto available = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  if (static_cast<std::uint64_t>(bytes) <= available) return;
  throw Error(ErrorCode::kIo, "no disk space: needs {}, has {} at {}", readable_bytes(bytes),
              readable_bytes(static_cast<std::int64_t>(available)), folder.string());
}

}  // namespace troupe::storage
