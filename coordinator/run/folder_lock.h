#pragma once
#include <filesystem>
#include <string>

#include "base/file.h"

namespace troupe::coordinator {

/// Holds a run's folder for this process as long as it lives, against every other process on any host.
///
/// With flock(2) on `<folder>/lock`, which the kernel drops when the process ends, however it ends. Where the
/// file system has no such locks (Lustre or NFS mounted without), by `<folder>/owner`, which names the
/// process and is made by one only, with a warning. The owner file of a process that has ended is taken over
/// on the same host; what became of one on another host cannot be known here, so that is refused.
class FolderLock {
 public:
  /// Throws kIo when another process holds it, naming that process.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

 private:
  FileDescriptor lock_;
  std::filesystem::path owner_file_;  // empty: flock holds it
};

}  // namespace troupe::coordinator
