#include "coordinator/run/worker_roster.h"

#include <fmt/format.h>

#include <utility>

namespace troupe::coordinator {
namespace {

std::string ranks_text(std::int64_t first, std::int64_t count) {
  return count == 1 ? fmt::format("{}", first) : fmt::format("{}-{}", first, first + count - 1);
}

}  // namespace

std::string name_of(const comm::JoinRequested& identity) {
  return fmt::format("{} {} (host {}, process {})", identity.ranks == 1 ? "worker" : "workers",
                     ranks_text(identity.first_rank, identity.ranks), identity.host, identity.process_id);
}

std::string missing_ranks(const MembershipView& membership) {
  std::string text;
  std::int64_t next = 0;
  const auto add_until = [&](std::int64_t end) {
    if (end > next) text += (text.empty() ? "" : ", ") + ranks_text(next, end - next);
  };
  for (const WorkerView& worker : membership.workers) {
    add_until(worker.first_rank);
    next = worker.first_rank + worker.ranks;
  }
  add_until(membership.world_size);
  return text;
}

std::string text_of(const comm::WorkerActive& activity) {
  if (activity.activity.empty()) return "before its first step";
  return fmt::format("in step {} ({})", activity.step, activity.activity);
}

WorkerRoster::WorkerRoster(std::int64_t world_size, std::string nonce, Duration silence_limit)
    : world_size_(world_size), nonce_(std::move(nonce)), silence_limit_(silence_limit) {}

std::optional<std::string> WorkerRoster::admit(ConnectionId connection, const comm::JoinRequested& identity,
                                               TimePoint now) {
  if (auto reason = refuse_ranks(identity)) return reason;
  if (auto reason = refuse_difference(identity)) return reason;
  members_[connection] = Member{identity, now, false, {}};
  joined_ranks_ += identity.ranks;
  by_first_rank_[identity.first_rank] = connection;
  return std::nullopt;
}

std::optional<std::string> WorkerRoster::refuse_ranks(const comm::JoinRequested& identity) const {
  if (identity.world_size != world_size_) {
    return fmt::format("it was started for {} workers, this run has {}", identity.world_size, world_size_);
  }
  const bool possible = identity.ranks >= 1 && identity.first_rank >= 0 && identity.ranks <= world_size_ &&
                        identity.first_rank <= world_size_ - identity.ranks;
  if (!possible) {
    return fmt::format("there are no {} ranks from {} on among {} workers", identity.ranks,
                       identity.first_rank, world_size_);
  }
  // Only neighbours in the order of ranks can overlap: thousands of workers join without a look at all.
  auto next = by_first_rank_.upper_bound(identity.first_rank);
  if (next != by_first_rank_.end() && next->first < identity.first_rank + identity.ranks) {
    return fmt::format("its rank {} is taken by {}", next->first,
                       name_of(members_.at(next->second).identity));
  }
  if (next == by_first_rank_.begin()) return std::nullopt;
  const comm::JoinRequested& before = members_.at(std::prev(next)->second).identity;
  if (before.first_rank + before.ranks <= identity.first_rank) return std::nullopt;
  return fmt::format("its rank {} is taken by {}", identity.first_rank, name_of(before));
}

std::optional<std::string> WorkerRoster::refuse_difference(const comm::JoinRequested& identity) const {
  if (identity.run_folder_nonce != nonce_) {
    return fmt::format(
        "it does not see the coordinator's run folder: the nonce there is {}, it read {}; the folder must be "
        "on a "
        "file system that all hosts share",
        nonce_, identity.run_folder_nonce.empty() ? "none" : identity.run_folder_nonce);
  }
  if (members_.empty()) return std::nullopt;
  // One is enough to compare with, as all who joined agree with it.
  const comm::JoinRequested& first = members_.at(by_first_rank_.begin()->second).identity;
  if (identity.numerics_fingerprint == first.numerics_fingerprint) return std::nullopt;
  return fmt::format(
      "it computes other numbers: its numerics fingerprint is {:016x}, that of {} is {:016x}; all hosts need "
      "the same "
      "build and the same kind of processor",
      identity.numerics_fingerprint, name_of(first), first.numerics_fingerprint);
}

std::optional<Duration> WorkerRoster::heard(ConnectionId connection, TimePoint time) {
  const auto found = members_.find(connection);
  if (found == members_.end() || time <= found->second.last_heard) return std::nullopt;
  Member& member = found->second;
  const Duration silence = time - std::exchange(member.last_heard, time);
  if (!std::exchange(member.suspected, false)) return std::nullopt;
  return silence;
}

void WorkerRoster::remember_activity(ConnectionId connection, const comm::WorkerActive& activity) {
  const auto found = members_.find(connection);
  if (found != members_.end()) found->second.activity = activity;
}

std::vector<ConnectionId> WorkerRoster::suspect(TimePoint now) {
  std::vector<ConnectionId> suspects;
  for (auto& [connection, member] : members_) {
    if (member.suspected || now - member.last_heard <= silence_limit_) continue;
    member.suspected = true;
    suspects.push_back(connection);
  }
  return suspects;
}

void WorkerRoster::forgive(TimePoint now) {
  for (auto& [connection, member] : members_) member.last_heard = now;
}

const WorkerRoster::Member* WorkerRoster::find(ConnectionId connection) const {
  const auto found = members_.find(connection);
  return found == members_.end() ? nullptr : &found->second;
}

void WorkerRoster::remove(ConnectionId connection) {
  const auto found = members_.find(connection);
  if (found == members_.end()) return;
  joined_ranks_ -= found->second.identity.ranks;
  by_first_rank_.erase(found->second.identity.first_rank);
  members_.erase(found);
}

std::vector<WorkerView> WorkerRoster::view(TimePoint now) const {
  std::vector<WorkerView> workers;
  for (const auto& [first, connection] : by_first_rank_) {
    const Member& member = members_.at(connection);
    workers.push_back({first, member.identity.ranks, member.identity.host, member.identity.process_id,
                       seconds(now - member.last_heard), member.suspected});
  }
  return workers;
}

}  // namespace troupe::coordinator
