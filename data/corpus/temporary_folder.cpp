#include "data/corpus/temporary_folder.h"

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace troupe::data {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder(fs::path path) : path_(std::move(path)) {
  fs::remove_all(path_);
  fs::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code failure;
  fs::remove_all(path_, failure);
  if (failure) log::error("cannot remove {}: {}", path_.string(), failure.message());
}

void TemporaryFolder::publish(const fs::path& target) {
  sync_folder(path_);
  // Exchanged, the old content lies in this folder, which the destructor removes.
  const unsigned how = fs::exists(target) ? RENAME_EXCHANGE : 0;
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), how) != 0) {
    if (errno != EINVAL) throw io_error("cannot move the new content to " + target.string());
    detail::replace_in_two_steps(path_, target);  // the file system cannot exchange
  }
  sync_folder(target.parent_path());
}

namespace detail {
void replace_in_two_steps(const fs::path& source, const fs::path& target) {
  TemporaryFolder old(source.string() + ".old");
  fs::rename(target, old.path());
  fs::rename(source, target);
}
}  // namespace detail

}  // namespace troupe::data
