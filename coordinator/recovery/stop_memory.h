#pragma once
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/signals.h"

namespace troupe::coordinator {

/// Remembers a request to stop (signals::kStopSignals) over all starts of workers of a run, also one that
/// comes while none is running and no coordinator listens.
class StopMemory {
 public:
  StopMemory();

  /// The first signal so far: "SIGTERM".
  [[nodiscard]] std::optional<std::string> reason();
  /// Waits for `delay`, or until a request comes or came.
  void wait(Duration delay);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<int> signal_;
  signals::Listener listener_;  // last: its callback uses the others
};

}  // namespace troupe::coordinator
