#pragma once
#include <sys/types.h>

#include <mutex>

#include "base/file.h"
#include "base/signals.h"

namespace troupe::cli {

/// Makes mpirun wait. Told to end (SIGTERM, Ctrl-C), mpirun sends its ranks SIGTERM one second later and
/// SIGKILL after another, whatever they do, and has no option against that. A rank that is about to save
/// therefore stops it (SIGSTOP) when SIGTERM comes, and a helper process lets it go on (SIGCONT) when the
/// rank says so or is gone, however it went.
class LauncherHold {
 public:
  /// The launcher of this rank: the nearest process above that is Open MPI's. Without one, nothing is held.
  LauncherHold();
  ~LauncherHold();  // releases
  LauncherHold(const LauncherHold&) = delete;
  LauncherHold& operator=(const LauncherHold&) = delete;

  /// For good: from now on the rank ends, for which it may need mpirun.
  void release();

 private:
  void hold();

  std::mutex mutex_;
  pid_t launcher_ = 0;
  FileDescriptor life_;  // the helper reads the other end until this one is closed
  signals::Listener listener_;
};

}  // namespace troupe::cli
