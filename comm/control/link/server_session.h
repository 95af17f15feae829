#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "comm/control/link/channel.h"
#include "comm/control/link/event_queue.h"
#include "comm/control/link/handshake.h"
#include "comm/control/tcp/tcp_stream.h"

namespace troupe::comm::detail {

/// What all sessions of a server share. Guarded by the server's mutex, like the sessions.
struct ServerState {
  Secret secret{};
  const Clock& clock;
  Duration farewell{};
  std::size_t unacknowledged_bytes = 0;  // at most, on one connection
  Epoch epoch = 0;
  actors::Address<ServerEvents> events;
  std::size_t pending_connections = 0;  // not authenticated
  std::int64_t stale_messages = 0;
  std::int64_t refused_connections = 0;
};

/// One connection of the server: challenge, then messages, then farewell. Used on the server's
/// thread, under the server's mutex.
class ServerSession {
 public:
  /// Sends the challenge.
  ServerSession(ConnectionId id, TcpStream& stream, std::string peer, ServerState& state);

  // What the stream reports.
  void on_bytes(std::string_view bytes);
  void on_end(const std::string& reason);

  /// Queues a message; flush() gets it going. kDead when not authenticated, or closing.
  [[nodiscard]] actors::Delivery send(std::string payload);
  /// Sends what is queued.
  void flush();
  /// Says goodbye once everything is sent.
  void close();
  /// Once per heartbeat: sends one, and keeps the farewell's deadline.
  void beat();
  /// Moves events into the mailbox as far as they fit, and goes on reading when all did; false if some must
  /// wait.
  bool pump();
  /// Ends it without a word.
  void abandon(const std::string& reason);

  [[nodiscard]] ConnectionId id() const { return id_; }
  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] bool is_pending() const { return phase_ == Phase::kPending; }
  [[nodiscard]] bool is_connected() const { return phase_ == Phase::kOpen || phase_ == Phase::kClosing; }
  /// Nothing left to do or to tell.
  [[nodiscard]] bool is_over() const { return phase_ == Phase::kOver && events_.empty(); }
  [[nodiscard]] TimePoint started() const { return started_; }
  [[nodiscard]] TimePoint last_heard() const { return last_heard_; }

 private:
  enum class Phase { kPending, kRefused, kOpen, kClosing, kOver };

  void enter(Phase phase);
  void authenticate(std::string_view bytes);
  void open(Epoch epoch);
  void take_messages();
  /// Turns the next message into an event; false if none is whole yet.
  bool next_event();
  void end(const std::string& reason);
  [[nodiscard]] bool flush_events();

  const ConnectionId id_;
  TcpStream& stream_;
  const std::string peer_;
  ServerState& state_;
  Phase phase_ = Phase::kPending;
  const TimePoint started_;
  TimePoint last_heard_;
  TimePoint farewell_until_;
  Nonces nonces_;
  std::string answer_;  // as far as it came
  std::optional<Channel> channel_;
  EventQueue<ServerEvents> events_;
};

}  // namespace troupe::comm::detail
