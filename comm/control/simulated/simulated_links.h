#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/deterministic_runtime.h"
#include "comm/control/link/events.h"
#include "comm/control/simulated/simulated.h"

namespace troupe::comm::detail {

/// One worker's link, from its client's birth until both ends are done with it.
struct SimulatedLink {
  std::string peer;
  Epoch epoch = 0;
  bool has_client = true;
  bool open = false;              // the server let the worker in
  bool finishing = false;         // finish() was called
  bool ended = false;             // the client's last event is queued
  bool client_knows_end = false;  // what is queued for it comes from its own machine
  bool server_knows_end = false;  // likewise
  bool server_done = false;       // it took WorkerDisconnected
  std::size_t unacknowledged = 0;
  TimePoint connected_at;
  TimePoint blocked_since;
  TimePoint give_up_at;  // connecting
  actors::Address<ClientEvents> client_events;
  std::deque<ServerEvent> to_server;
  std::deque<ClientEvent> to_client;
  // Calls of the runtime that are under way; 0: none.
  std::uint64_t connect_call = 0;
  std::uint64_t pump_call = 0;
  std::uint64_t silence_call = 0;
};

/// All links of a simulated network, and the one place where something passes between their ends.
class SimulatedLinks {
 public:
  SimulatedLinks(actors::DeterministicRuntime& runtime, const SimulatedNetworkOptions& options);
  SimulatedLinks(const SimulatedLinks&) = delete;
  SimulatedLinks& operator=(const SimulatedLinks&) = delete;
  ~SimulatedLinks();

  // The server's end.
  void add_server();
  void remove_server();
  void start_server(actors::Address<ServerEvents> events);
  void begin_epoch(Epoch epoch) { server_epoch_ = epoch; }
  actors::Delivery send_to_worker(ConnectionId id, const CoordinatorMessage& message);
  void close(ConnectionId id);
  [[nodiscard]] std::vector<LastHeard> last_heard() const;
  [[nodiscard]] std::int64_t stale_messages() const { return stale_messages_; }

  // A client's end.
  ConnectionId add_client(Epoch epoch, const std::string& peer);
  void remove_client(ConnectionId id);
  void start_client(ConnectionId id, actors::Address<ClientEvents> events);
  actors::Delivery send_to_coordinator(ConnectionId id, const WorkerMessage& message);
  [[nodiscard]] std::size_t unacknowledged(ConnectionId id) const;
  void finish(ConnectionId id);

  // Faults.
  void break_link(const std::string& peer);
  void freeze(const std::string& peer);
  void thaw(const std::string& peer);
  void partition(const std::string& peer);
  void heal(const std::string& peer);

 private:
  SimulatedLink* find(ConnectionId id);
  [[nodiscard]] bool is_blocked(const SimulatedLink& link) const;
  void block(const std::string& peer, std::set<std::string>& how);
  void unblock(const std::string& peer, std::set<std::string>& how);
  void check_silence(ConnectionId id, TimePoint blocked_since);
  void cancel_calls(const SimulatedLink& link);

  void connect_after(Duration delay, ConnectionId id, SimulatedLink& link);
  void connect(ConnectionId id);
  void open(ConnectionId id, SimulatedLink& link);
  void pump_after(Duration delay, ConnectionId id, SimulatedLink& link);
  void pump_soon(ConnectionId id, SimulatedLink& link);
  void pump(ConnectionId id);
  void pump_to_server(ConnectionId id, SimulatedLink& link);
  void pump_to_client(ConnectionId id, SimulatedLink& link);
  /// Takes one event into the server's mailbox; false if that is full.
  bool take_in(SimulatedLink& link, const ServerEvent& event);
  void end_client(ConnectionId id, SimulatedLink& link, const ClientEvent& last_event);
  void end_server(ConnectionId id, SimulatedLink& link, const std::string& reason);
  void finish_when_acknowledged(ConnectionId id, SimulatedLink& link);

  actors::DeterministicRuntime& runtime_;
  SimulatedNetworkOptions options_;
  std::map<ConnectionId, SimulatedLink> links_;
  ConnectionId last_id_ = 0;
  std::set<std::string> frozen_;
  std::set<std::string> partitioned_;

  bool has_server_ = false;
  bool server_started_ = false;
  actors::Address<ServerEvents> server_events_;
  Epoch server_epoch_ = 0;
  std::int64_t stale_messages_ = 0;
};

}  // namespace troupe::comm::detail
