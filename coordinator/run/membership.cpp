#include "coordinator/run/membership.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "base/error.h"

namespace troupe::coordinator {
namespace {

/// The rank that a message speaks for.
std::int64_t rank_of(const comm::WorkerMessage& message) {
  return std::visit(
      [](const auto& said) -> std::int64_t {
        if constexpr (requires { said.rank; }) {
          return said.rank;
        } else if constexpr (requires { said.first_rank; }) {
          return said.first_rank;
        } else {
          return 0;  // evaluations and samples come from worker 0
        }
      },
      message);
}

bool speaks_for(const comm::JoinRequested& identity, std::int64_t rank) {
  return rank >= identity.first_rank && rank < identity.first_rank + identity.ranks;
}

}  // namespace

Membership::Membership(MembershipOptions options, comm::ControlServer& server,
                       actors::Address<MembershipListenerApi> listener)
    : options_(std::move(options)),
      server_(server),
      listener_(std::move(listener)),
      roster_(options_.world_size, options_.nonce, options_.silence_limit),
      stall_(options_.stall_limit) {}

void Membership::started() {
  last_check_ = last_view_ = now();
  send_later(options_.check_interval, CheckHeartbeats{});
}

template <class Message>
void Membership::tell(Message message) const {
  // A full mailbox would lose a report: the listener's capacity is chosen so that this is an error.
  const actors::Delivery delivery = listener_.send(std::move(message));
  TROUPE_CHECK(delivery != actors::Delivery::kFull, "the mailbox of {} is full", listener_.name());
}

void Membership::send(ConnectionId connection, const comm::CoordinatorMessage& message) {
  // A dead connection's end is told by its own event; one that reads no more is as good as dead.
  if (server_.send(connection, message) == actors::Delivery::kFull) server_.close(connection);
}

void Membership::on(const comm::WorkerConnected&) {}  // it says who it is in its first message

void Membership::on(const comm::WorkerMessageArrived& arrived) {
  if (const auto* identity = std::get_if<comm::JoinRequested>(&arrived.message)) {
    join(arrived.connection, *identity);
  } else if (const auto* activity = std::get_if<comm::WorkerActive>(&arrived.message)) {
    roster_.remember_activity(arrived.connection, *activity);
    if (roster_.find(arrived.connection) != nullptr) stall_.heard(*activity, now());
  } else {
    forward(arrived);
  }
}

void Membership::join(ConnectionId connection, const comm::JoinRequested& identity) {
  if (!options_.job.empty() && identity.job != options_.job) {
    refuse_stranger(connection, identity);
    return;
  }
  if (roster_.find(connection) != nullptr) {
    refuse(connection, name_of(identity), "it joined twice on one connection");
    return;
  }
  if (const auto reason = roster_.admit(connection, identity, now())) {
    refuse(connection, name_of(identity), *reason);
    return;
  }
  view_is_stale_ = true;
  if (!roster_.complete()) return;
  stall_.begin(now());
  show();
  tell(AllJoined{identity.numerics_fingerprint});
}

void Membership::refuse_stranger(ConnectionId connection, const comm::JoinRequested& identity) {
  send(connection, comm::Refuse{"it does not belong to the run's job, which `troupe train` starts"});
  server_.close(connection);
  tell(
      Remark{Severity::kWarning,
             fmt::format("process {} on host {} tried to join, but does not belong to the run's job: refused",
                         identity.process_id, identity.host)});
}

void Membership::refuse(ConnectionId connection, const std::string& worker, const std::string& reason) {
  send(connection, comm::Refuse{reason});
  server_.close(connection);
  tell(WorkerRefused{worker, reason});
}

void Membership::forward(const comm::WorkerMessageArrived& arrived) {
  const WorkerRoster::Member* member = roster_.find(arrived.connection);
  if (member == nullptr) return;  // it was given up, or never joined: what it says counts no more
  const std::int64_t rank = rank_of(arrived.message);
  if (!speaks_for(member->identity, rank)) {
    tell(Remark{Severity::kWarning,
                fmt::format("{} spoke for rank {}: ignored", name_of(member->identity), rank)});
  } else if (const auto* failure = std::get_if<comm::WorkerFailed>(&arrived.message)) {
    tell(WorkerBroke{name_of(member->identity), member->activity, *failure});
  } else {
    stall_.moved(now());
    if (const auto* step = std::get_if<comm::StepFinished>(&arrived.message)) {
      if (step->rank == 0) stall_.step_finished(now());
      roster_.remember_activity(arrived.connection,
                                {step->rank, step->step + 1, "training", member->activity.places});
    }
    tell(WorkerReported{arrived.message});
  }
}

void Membership::listen() {
  for (const comm::LastHeard& heard : server_.last_heard()) {
    const auto silence = roster_.heard(heard.connection, heard.time);
    if (!silence) continue;
    const std::string worker = name_of(roster_.find(heard.connection)->identity);
    tell(Remark{Severity::kInfo,
                fmt::format("{} is back after {:.1f} s of silence", worker, seconds(*silence))});
    view_is_stale_ = true;
  }
}

void Membership::on(const comm::WorkerDisconnected& disconnected) {
  remove(disconnected.connection, disconnected.reason);
}

void Membership::remove(ConnectionId connection, const std::string& reason) {
  const WorkerRoster::Member* member = roster_.find(connection);
  if (member == nullptr) return;
  WorkerGone gone{member->identity, member->activity, reason, false};
  roster_.remove(connection);
  const bool was_last = gone.was_last = roster_.members().empty();
  tell(std::move(gone));
  view_is_stale_ = true;
  if (was_last) show();
}

void Membership::on(const Broadcast& broadcast) {
  for (const auto& [connection, member] : roster_.members()) send(connection, broadcast.message);
}

void Membership::on(const CheckHeartbeats&) {
  const TimePoint before = std::exchange(last_check_, now());
  if (last_check_ - before > options_.standstill) {
    roster_.forgive(last_check_);
    stall_.forgive(last_check_);
    tell(Remark{
        Severity::kWarning,
        fmt::format("the coordinator stood still for {:.1f} s: no worker is blamed for silence in that time",
                    seconds(last_check_ - before))});
  }
  listen();
  suspect_silent_workers();
  give_up_lost_workers();
  look_for_stall();
  if (view_is_stale_ || last_check_ - last_view_ >= options_.view_interval) show();
  send_later(options_.check_interval, CheckHeartbeats{});
}

void Membership::suspect_silent_workers() {
  const auto suspects = roster_.suspect(now());
  for (const ConnectionId connection : suspects) {
    const WorkerRoster::Member& member = *roster_.find(connection);
    tell(Remark{Severity::kWarning, fmt::format("{} has been silent for {:.1f} s, {}: frozen, or cut off",
                                                name_of(member.identity), seconds(now() - member.last_heard),
                                                text_of(member.activity))});
  }
  view_is_stale_ = view_is_stale_ || !suspects.empty();
}

void Membership::give_up_lost_workers() {
  std::vector<ConnectionId> lost;
  for (const auto& [connection, member] : roster_.members()) {
    if (now() - member.last_heard > options_.loss_limit) lost.push_back(connection);
  }
  if (lost.empty()) return;
  const std::string places = describe_places(processes());
  for (const ConnectionId connection : lost) {
    server_.close(connection);
    remove(connection, fmt::format("it was silent for {:.0f} s{}", seconds(options_.loss_limit), places));
  }
}

void Membership::look_for_stall() {
  const auto stood_still = stall_.stalled(now());
  if (!stood_still || std::exchange(stall_is_told_, true)) return;
  tell(WorkersStalled{describe_stall(processes(), *stood_still, stall_.median_step())});
}

std::vector<StalledProcess> Membership::processes() const {
  std::vector<StalledProcess> all;
  for (const auto& [connection, member] : roster_.members())
    all.push_back({member.identity.host, member.identity.process_id, member.suspected, member.activity});
  return all;
}

void Membership::show() {
  last_view_ = now();
  view_is_stale_ = false;
  tell(MembershipChanged{{options_.epoch, options_.world_size, roster_.view(now())}});
}

}  // namespace troupe::coordinator
