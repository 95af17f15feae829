#include "comm/control/simulated/simulated_links.h"

#include <utility>

#include "base/error.h"
#include "comm/control/messages/codec.h"

namespace troupe::comm::detail {

using namespace std::chrono_literals;
using actors::Delivery;

namespace {
constexpr Duration kConnectAgain = 100ms;
constexpr Duration kMailboxFullAgain = 10ms;
constexpr std::size_t kMaxQueued = 65'536;  // messages
}  // namespace

SimulatedLinks::SimulatedLinks(actors::DeterministicRuntime& runtime, const SimulatedNetworkOptions& options)
    : runtime_(runtime), options_(options) {}

SimulatedLinks::~SimulatedLinks() {
  for (const auto& [id, link] : links_) cancel_calls(link);
}

SimulatedLink* SimulatedLinks::find(ConnectionId id) {
  const auto found = links_.find(id);
  return found == links_.end() ? nullptr : &found->second;
}

void SimulatedLinks::cancel_calls(const SimulatedLink& link) {
  for (const std::uint64_t call : {link.connect_call, link.pump_call, link.silence_call})
    runtime_.cancel_call(call);
}

// ---- the server's end --------------------------------------------------------------------------

void SimulatedLinks::add_server() {
  TROUPE_CHECK(!has_server_, "a simulated network has one server at a time");
  has_server_ = true;
}

void SimulatedLinks::remove_server() {
  has_server_ = server_started_ = false;
  server_events_ = {};
  for (auto& [id, link] : links_) {
    if (!link.open) continue;
    link.to_server.clear();
    link.server_knows_end = link.server_done = true;
    end_client(id, link, CoordinatorLost{"the coordinator closed the connection"});
  }
}

void SimulatedLinks::start_server(actors::Address<ServerEvents> events) {
  TROUPE_CHECK(!server_started_, "the control server was started before");
  server_started_ = true;
  server_events_ = std::move(events);
}

Delivery SimulatedLinks::send_to_worker(ConnectionId id, const CoordinatorMessage& message) {
  SimulatedLink* link = find(id);
  if (link == nullptr || !link->open || link->server_knows_end || link->server_done) return Delivery::kDead;
  if (link->to_client.size() >= kMaxQueued) return Delivery::kFull;
  if (link->ended) return Delivery::kDelivered;  // on its way to nobody
  link->to_client.push_back(
      CoordinatorMessageArrived{link->epoch, decode_coordinator_message(encode(message))});
  pump_soon(id, *link);
  return Delivery::kDelivered;
}

void SimulatedLinks::close(ConnectionId id) {
  SimulatedLink* link = find(id);
  if (link == nullptr || !link->open || link->server_knows_end || link->server_done) return;
  if (is_blocked(*link)) link->to_server.clear();
  link->server_knows_end = true;
  end_client(id, *link, CoordinatorLost{"the coordinator closed the connection"});
  end_server(id, *link, "closed by the coordinator");
}

std::vector<LastHeard> SimulatedLinks::last_heard() const {
  std::vector<LastHeard> heard;
  for (const auto& [id, link] : links_) {
    if (!link.open || link.server_knows_end || link.server_done) continue;
    const TimePoint until = is_blocked(link) ? link.blocked_since : runtime_.clock().now();
    const auto beats = (until - link.connected_at) / options_.heartbeat;
    heard.push_back({id, link.connected_at + beats * options_.heartbeat});
  }
  return heard;
}

// ---- a client's end ----------------------------------------------------------------------------

ConnectionId SimulatedLinks::add_client(Epoch epoch, const std::string& peer) {
  SimulatedLink link;
  link.peer = peer;
  link.epoch = epoch;
  link.blocked_since = runtime_.clock().now();
  links_.emplace(++last_id_, std::move(link));
  return last_id_;
}

void SimulatedLinks::remove_client(ConnectionId id) {
  SimulatedLink& link = links_.at(id);
  link.has_client = false;
  link.to_client.clear();
  if (!link.open || link.server_done) {
    cancel_calls(link);
    links_.erase(id);
    return;
  }
  const bool had_ended = std::exchange(link.ended, true);
  unblock(link.peer, frozen_);  // the end of a process closes its connections, frozen or not
  if (!had_ended) end_server(id, link, "closed by the worker");
}

void SimulatedLinks::start_client(ConnectionId id, actors::Address<ClientEvents> events) {
  SimulatedLink& link = links_.at(id);
  link.client_events = std::move(events);
  link.give_up_at = runtime_.clock().now() + options_.silence_limit;
  connect_after(Duration::zero(), id, link);
}

Delivery SimulatedLinks::send_to_coordinator(ConnectionId id, const WorkerMessage& message) {
  SimulatedLink& link = links_.at(id);
  if (link.ended || link.finishing) return Delivery::kDead;
  if (link.unacknowledged >= kMaxQueued) return Delivery::kFull;
  ++link.unacknowledged;
  link.to_server.push_back(WorkerMessageArrived{id, link.epoch, decode_worker_message(encode(message))});
  pump_soon(id, link);
  return Delivery::kDelivered;
}

std::size_t SimulatedLinks::unacknowledged(ConnectionId id) const { return links_.at(id).unacknowledged; }

void SimulatedLinks::finish(ConnectionId id) {
  SimulatedLink& link = links_.at(id);
  link.finishing = true;
  finish_when_acknowledged(id, link);
}

// ---- faults ------------------------------------------------------------------------------------

void SimulatedLinks::break_link(const std::string& peer) {
  for (auto& [id, link] : links_) {
    if (link.peer != peer || !link.open || link.server_done) continue;
    link.to_server.clear();
    link.to_client.clear();
    link.client_knows_end = link.server_knows_end = true;
    end_client(id, link, CoordinatorLost{"the connection broke"});
    end_server(id, link, "the connection broke");
  }
}

void SimulatedLinks::freeze(const std::string& peer) { block(peer, frozen_); }
void SimulatedLinks::thaw(const std::string& peer) { unblock(peer, frozen_); }

void SimulatedLinks::partition(const std::string& peer) {
  block(peer, partitioned_);
  for (auto& [id, link] : links_) {
    if (link.peer != peer || !link.open) continue;
    runtime_.cancel_call(link.silence_call);
    link.silence_call = runtime_.call_later(
        options_.silence_limit, [this, id = id, since = link.blocked_since] { check_silence(id, since); });
  }
}

void SimulatedLinks::heal(const std::string& peer) { unblock(peer, partitioned_); }

void SimulatedLinks::block(const std::string& peer, std::set<std::string>& how) {
  for (auto& [id, link] : links_) {
    if (link.peer == peer && !is_blocked(link)) link.blocked_since = runtime_.clock().now();
  }
  how.insert(peer);
}

void SimulatedLinks::unblock(const std::string& peer, std::set<std::string>& how) {
  how.erase(peer);
  for (auto& [id, link] : links_) {
    if (link.peer == peer) pump_soon(id, link);
  }
}

bool SimulatedLinks::is_blocked(const SimulatedLink& link) const {
  return frozen_.contains(link.peer) || partitioned_.contains(link.peer);
}

void SimulatedLinks::check_silence(ConnectionId id, TimePoint blocked_since) {
  SimulatedLink& link = links_.at(id);
  if (!partitioned_.contains(link.peer) || link.blocked_since != blocked_since) return;
  link.to_client.clear();
  link.client_knows_end = true;
  end_client(id, link, CoordinatorLost{"the coordinator is silent"});
  end_server(id, link, "closed by the worker");
}

// ---- what passes between the ends --------------------------------------------------------------

void SimulatedLinks::connect_after(Duration delay, ConnectionId id, SimulatedLink& link) {
  link.connect_call = runtime_.call_later(delay, [this, id] { connect(id); });
}

void SimulatedLinks::connect(ConnectionId id) {
  SimulatedLink& link = links_.at(id);
  if (link.ended) return;
  if (server_started_ && !is_blocked(link)) return open(id, link);
  if (runtime_.clock().now() < link.give_up_at) return connect_after(kConnectAgain, id, link);
  link.client_knows_end = true;
  end_client(id, link, CoordinatorLost{"no coordinator answers"});
}

void SimulatedLinks::open(ConnectionId id, SimulatedLink& link) {
  if (link.epoch != server_epoch_)
    return end_client(id, link, CoordinatorLost{"this worker's epoch is over"});
  link.open = true;
  link.connected_at = runtime_.clock().now();
  link.to_server.emplace_front(WorkerConnected{id, link.epoch, link.peer});
  link.to_client.emplace_front(CoordinatorConnected{});
  pump_soon(id, link);
}

void SimulatedLinks::pump_after(Duration delay, ConnectionId id, SimulatedLink& link) {
  if (link.pump_call != 0) return;
  link.pump_call = runtime_.call_later(delay, [this, id] { pump(id); });
}

void SimulatedLinks::pump_soon(ConnectionId id, SimulatedLink& link) {
  const auto range = static_cast<std::uint64_t>(options_.max_latency.count()) + 1;
  pump_after(Duration(static_cast<Duration::rep>(runtime_.random_below(range))), id, link);
}

void SimulatedLinks::pump(ConnectionId id) {
  SimulatedLink& link = links_.at(id);
  link.pump_call = 0;
  pump_to_client(id, link);
  pump_to_server(id, link);
  if (!link.has_client && link.server_done) {
    cancel_calls(link);
    links_.erase(id);
  }
}

void SimulatedLinks::pump_to_client(ConnectionId id, SimulatedLink& link) {
  if (frozen_.contains(link.peer)) return;
  if (partitioned_.contains(link.peer) && !link.client_knows_end) return;
  while (!link.to_client.empty()) {
    if (deliver(link.client_events, link.to_client.front()) == Delivery::kFull) {
      return pump_after(kMailboxFullAgain, id, link);
    }
    link.to_client.pop_front();
  }
}

void SimulatedLinks::pump_to_server(ConnectionId id, SimulatedLink& link) {
  if (!link.open || !server_started_) return;
  if (is_blocked(link) && !link.server_knows_end) return;
  while (!link.to_server.empty()) {
    if (!take_in(link, link.to_server.front())) return pump_after(kMailboxFullAgain, id, link);
    link.to_server.pop_front();
  }
  finish_when_acknowledged(id, link);
}

bool SimulatedLinks::take_in(SimulatedLink& link, const ServerEvent& event) {
  const bool is_message = std::holds_alternative<WorkerMessageArrived>(event);
  if (is_message && link.epoch != server_epoch_) {
    ++stale_messages_;
    return true;
  }
  const Delivery delivery = deliver(server_events_, event);
  if (delivery == Delivery::kFull) return false;
  if (is_message && delivery == Delivery::kDelivered) --link.unacknowledged;
  if (std::holds_alternative<WorkerDisconnected>(event)) link.server_done = true;
  return true;
}

void SimulatedLinks::end_client(ConnectionId id, SimulatedLink& link, const ClientEvent& last_event) {
  if (std::exchange(link.ended, true)) return;
  link.to_client.push_back(last_event);
  pump_soon(id, link);
}

void SimulatedLinks::end_server(ConnectionId id, SimulatedLink& link, const std::string& reason) {
  link.to_server.push_back(WorkerDisconnected{id, link.epoch, reason});
  pump_soon(id, link);
}

void SimulatedLinks::finish_when_acknowledged(ConnectionId id, SimulatedLink& link) {
  if (!link.finishing || link.ended || link.unacknowledged > 0) return;
  link.client_knows_end = true;
  end_client(id, link, LinkFinished{});
  if (link.open) end_server(id, link, "closed by the worker");
}

}  // namespace troupe::comm::detail
