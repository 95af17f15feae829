#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "comm/control/link/server.h"
#include "comm/control/messages/messages.h"
#include "coordinator/run/run_observer.h"

namespace troupe::coordinator {

using comm::ConnectionId;

/// "worker 3 (host a, process 12)", or "workers 0-7 (…)" for a process that speaks for several.
[[nodiscard]] std::string name_of(const comm::JoinRequested& identity);

/// "in step 12 (forward)"
[[nodiscard]] std::string text_of(const comm::WorkerActive& activity);
/// "2, 5-7": the ranks that are not there.
[[nodiscard]] std::string missing_ranks(const MembershipView& membership);

/// Who is in the run and when each was last heard: the rules of membership, without links or timers.
class WorkerRoster {
 public:
  struct Member {
    comm::JoinRequested identity;
    TimePoint last_heard;
    bool suspected = false;
    comm::WorkerActive activity;  // the newest
  };

  WorkerRoster(std::int64_t world_size, std::string nonce, Duration silence_limit);

  /// Takes a worker in, or says why not: ranks that are impossible or taken, another world size, another
  /// run folder (nonce), other numbers from the same kernels (fingerprint).
  [[nodiscard]] std::optional<std::string> admit(ConnectionId connection, const comm::JoinRequested& identity,
                                                 TimePoint now);
  /// True when every rank is here.
  [[nodiscard]] bool complete() const { return joined_ranks_ == world_size_; }

  /// The newest sign of life; returns how long a suspected worker had been silent before it.
  std::optional<Duration> heard(ConnectionId connection, TimePoint time);
  void remember_activity(ConnectionId connection, const comm::WorkerActive& activity);
  /// Those silent for longer than the limit that were not suspected before; they are from now on.
  [[nodiscard]] std::vector<ConnectionId> suspect(TimePoint now);
  /// This process itself stood still: nobody's silence counts.
  void forgive(TimePoint now);

  [[nodiscard]] const Member* find(ConnectionId connection) const;
  void remove(ConnectionId connection);
  [[nodiscard]] const std::map<ConnectionId, Member>& members() const { return members_; }
  [[nodiscard]] std::vector<WorkerView> view(TimePoint now) const;

 private:
  [[nodiscard]] std::optional<std::string> refuse_ranks(const comm::JoinRequested& identity) const;
  [[nodiscard]] std::optional<std::string> refuse_difference(const comm::JoinRequested& identity) const;

  std::int64_t world_size_;
  std::string nonce_;
  Duration silence_limit_;
  std::int64_t joined_ranks_ = 0;
  std::map<ConnectionId, Member> members_;
  std::map<std::int64_t, ConnectionId> by_first_rank_;  // ranks never overlap
};

}  // namespace troupe::coordinator
