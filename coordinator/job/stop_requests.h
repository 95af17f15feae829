#pragma once
#include <chrono>
#include <map>

#include "base/clock.h"

namespace troupe::coordinator {

/// What a signal that asks for the end of a run means, given those before it. Schedulers, `timeout` and
/// mpirun send the same signal twice within moments, to a process and to its group, and SIGUSR1 before
/// SIGTERM: none of that is impatience. Only SIGINT or SIGTERM a while after its first time is.
class StopRequests {
 public:
  enum class Meaning { kSave, kEndAtOnce, kNothingNew };

  /// may_end_at_once: no in classic mode, where mpirun repeats what it gets, and ends the job itself.
  explicit StopRequests(bool may_end_at_once) : may_end_at_once_(may_end_at_once) {}

  [[nodiscard]] Meaning receive(int signal, TimePoint now);

 private:
  static constexpr Duration kEcho = std::chrono::milliseconds(500);

  bool may_end_at_once_;
  std::map<int, TimePoint> first_;  // when each arrived
};

}  // namespace troupe::coordinator
