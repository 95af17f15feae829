#include "storage/pending_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "storage/verified_file.h"

namespace troupe::storage {

PendingFile::PendingFile(std::filesystem::path path) : path_(std::move(path)) {
  file_ = FileDescriptor::open(temporary(), O_WRONLY | O_CREAT | O_TRUNC);
}

PendingFile::~PendingFile() {
  if (file_) ::unlink(temporary().c_str());
}

std::filesystem::path PendingFile::temporary() const { return path_.string() + ".tmp"; }

void PendingFile::write(std::span<const std::byte> bytes) { write_all(*file_, bytes, temporary()); }

void PendingFile::finish() {
  if (::fsync(file_->get()) != 0) throw io_error("cannot write " + temporary().string());
  file_->close();
  rename_path(temporary(), path_);
  file_.reset();
}

}  // namespace troupe::storage
