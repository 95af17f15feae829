#pragma once
#include <span>
#include <string>

#include "base/clock.h"
#include "comm/control/messages/messages.h"

namespace troupe::coordinator {

/// A process of workers as far as it was heard.
struct StalledProcess {
  std::string host;
  std::int64_t process_id = 0;
  bool silent = false;  // no heartbeat either
  comm::WorkerActive activity;
};

/// Who holds up the run, where he stands, and who waits for him, after ": "; for people. Who has begun fewer
/// collectives than the others is waited for; of those that have begun the same, who is in none. Empty where
/// nobody says where he is.
[[nodiscard]] std::string describe_places(std::span<const StalledProcess> processes);

/// The same, and for how long.
///   median_step: zero: not known
[[nodiscard]] std::string describe_stall(std::span<const StalledProcess> processes, Duration stood_still,
                                         Duration median_step);

}  // namespace troupe::coordinator
