#include "storage/file_filler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/index.h"

namespace troupe::storage {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;  // stays in a core's cache
constexpr std::int64_t kWritebackBytes = std::int64_t{8} << 20;

}  // namespace

FileFiller::FileFiller(const std::filesystem::path& path)
    : path_(path), file_(FileDescriptor::open(path, O_RDWR | O_NOFOLLOW)), kept_(kPieceBytes) {}

void FileFiller::keep_until(std::int64_t offset) {
  while (at_ < offset) {
    const std::size_t most = std::min(kept_.size(), at(offset - at_));
    const std::size_t got = read_piece(file_, std::span(kept_).first(most), path_);
    if (got == 0) throw Error(ErrorCode::kIo, "{} ends at byte {}", path_.string(), at_);
    hasher_.update(std::span(kept_).first(got));
    at_ += static_cast<std::int64_t>(got);
  }
}

void FileFiller::write(std::span<const std::byte> bytes, Hasher& hasher) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    hasher.update(piece);
    hasher_.update(piece);
    write_all(file_, piece, path_);
    at_ += std::ssize(piece);
    bytes = bytes.subspan(piece.size());
    if (at_ - given_to_disk_ >= kWritebackBytes) start_writeback();
  }
}

void FileFiller::start_writeback() {
  if (::sync_file_range(file_.get(), given_to_disk_, at_ - given_to_disk_, SYNC_FILE_RANGE_WRITE) != 0)
    throw io_error("cannot write " + path_.string());
  given_to_disk_ = at_;
}

FileDescription FileFiller::finish() {
  keep_until(regular_file_bytes(path_));
  if (::fsync(file_.get()) != 0) throw io_error("cannot fsync " + path_.string());
  file_.close();
  return {path_.filename().string(), at_, hasher_.finish()};
}

}  // namespace troupe::storage
