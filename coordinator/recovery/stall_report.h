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

/// Who holds up the run, where he stands, and who waits for him; for people. Who has begun fewer collectives
/// than the others is waited for; of those that have begun the same, who is in none.
///   median_step: zero: not known
[[nodiscard]] std::string describe_stall(std::span<const StalledProcess> processes, Duration stood_still,
                                         Duration median_step);

}  // namespace troupe::coordinator
