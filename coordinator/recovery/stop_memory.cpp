#include "coordinator/recovery/stop_memory.h"

namespace troupe::coordinator {

StopMemory::StopMemory()
    : listener_(signals::kStopSignals, [this](int signal) {
        const std::lock_guard lock(mutex_);
        if (!signal_) signal_ = signal;
        changed_.notify_all();
      }) {}

std::optional<std::string> StopMemory::reason() {
  const std::lock_guard lock(mutex_);
  return signal_ ? std::optional(signals::name_of(*signal_)) : std::nullopt;
}

void StopMemory::wait(Duration delay) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, delay, [this] { return signal_.has_value(); });
}

}  // namespace troupe::coordinator
