#pragma once
#include <chrono>
#include <optional>

#include "base/file.h"

namespace troupe::coordinator {

/// Turns SIGINT, SIGTERM, SIGUSR1 and SIGCHLD into values that the main thread waits for, and lets other
/// threads wake it. Works however threads (of MPI, for example) mask their signals, since it uses handlers.
/// One at a time per process; the destructor puts the former handlers back.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  /// The next signal, oldest first; nothing after `timeout` or a wake().
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds timeout);
  /// Makes wait() return; from any thread.
  void wake();

 private:
  FileDescriptor read_end_;
};

}  // namespace troupe::coordinator
