#include "coordinator/job/stop_requests.h"

#include <csignal>

namespace troupe::coordinator {

StopRequests::Meaning StopRequests::receive(int signal, TimePoint now) {
  const bool is_first = first_.empty();
  const auto [first, is_new] = first_.try_emplace(signal, now);
  if (is_first) return Meaning::kSave;
  const bool is_insistent =
      !is_new && now - first->second >= kEcho && (signal == SIGINT || signal == SIGTERM);
  return is_insistent && may_end_at_once_ ? Meaning::kEndAtOnce : Meaning::kNothingNew;
}

}  // namespace troupe::coordinator
