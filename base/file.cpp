#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/index.h"
#include "base/log.h"

namespace troupe {

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0 && ::close(fd_) != 0) log::error("closing a file failed: {}", io_error("close").what());
}

FileDescriptor FileDescriptor::open(const std::filesystem::path& path, int flags, unsigned mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) throw io_error("cannot open " + path.string());
  return FileDescriptor(fd);
}

void FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  if (fd >= 0 && ::close(fd) != 0) throw io_error("close");
}

std::string read_file(const std::filesystem::path& path, std::size_t limit_bytes) {
  const FileDescriptor file = FileDescriptor::open(path, O_RDONLY);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw io_error("cannot stat " + path.string());
  if (!S_ISREG(status.st_mode)) throw Error(ErrorCode::kIo, "{} is not a regular file", path.string());
  const auto size = at(status.st_size);
  if (size > limit_bytes) {
    throw Error(ErrorCode::kCorrupt, "{}: {} bytes, more than the {} that are allowed", path.string(), size,
                limit_bytes);
  }
  std::string content(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.get(), content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw io_error("cannot read " + path.string());
    if (got == 0) throw Error(ErrorCode::kCorrupt, "{}: shrank while it was read", path.string());
    done += at(got);
  }
  return content;
}

void write_all(const FileDescriptor& file, std::span<const std::byte> bytes,
               const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw io_error("cannot write " + path.string());
    bytes = bytes.subspan(at(written));
  }
}

void append_all(const FileDescriptor& file, std::span<const std::byte> bytes,
                const std::filesystem::path& path) {
  struct stat before {};
  if (::fstat(file.get(), &before) != 0) throw io_error("cannot stat " + path.string());
  try {
    write_all(file, bytes, path);
  } catch (const Error&) {
    if (S_ISREG(before.st_mode) && ::ftruncate(file.get(), before.st_size) != 0)
      log::warn("{} may end in half a line: {}", path.string(), io_error("ftruncate").what());
    throw;
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content, unsigned mode) {
  const std::filesystem::path temporary = path.string() + ".tmp" + std::to_string(::getpid());
  try {
    FileDescriptor file = FileDescriptor::open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write_all(file, std::as_bytes(std::span(content)), temporary);
    if (::fsync(file.get()) != 0) throw io_error("cannot fsync " + temporary.string());
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw io_error("cannot rename to " + path.string());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor directory = FileDescriptor::open(folder, O_RDONLY | O_DIRECTORY);
  if (::fsync(directory.get()) != 0) throw io_error("cannot fsync the folder " + folder.string());
}

}  // namespace troupe
