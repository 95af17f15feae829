#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "actors/address.h"
#include "base/clock.h"
#include "comm/control/messages/messages.h"

namespace troupe::comm {

/// Counts the connections of a server; never used twice.
using ConnectionId = std::int64_t;

/// A worker process proved that it knows the run's secret.
struct WorkerConnected {
  ConnectionId connection = 0;
  Epoch epoch = 0;
  std::string peer;  // its address, for people
  bool operator==(const WorkerConnected&) const = default;
};

struct WorkerMessageArrived {
  ConnectionId connection = 0;
  Epoch epoch = 0;
  WorkerMessage message;
  bool operator==(const WorkerMessageArrived&) const = default;
};

/// Follows WorkerConnected once, and is the connection's last event.
struct WorkerDisconnected {
  ConnectionId connection = 0;
  Epoch epoch = 0;
  std::string reason;
  bool operator==(const WorkerDisconnected&) const = default;
};

using ServerEvents = actors::Accepts<WorkerConnected, WorkerMessageArrived, WorkerDisconnected>;

/// When a connection last said anything, heartbeats included. The age of that tells who is silent.
struct LastHeard {
  ConnectionId connection = 0;
  TimePoint time;
  bool operator==(const LastHeard&) const = default;
};

/// The coordinator's end of the control links to all workers: tcp_server.h, or simulated.h for tests.
/// Thread-safe; nothing waits.
/// A report is acknowledged to its worker once it is in the mailbox of `events`. While that is full, it
/// waits on its way, and what follows on the same connection waits behind it.
class ControlServer {
 public:
  virtual ~ControlServer() = default;

  /// Lets workers in from now on, and sends all events to `events`. Once.
  virtual void start(actors::Address<ServerEvents> events) = 0;

  /// Workers of another epoch are refused from now on. Messages of their connections are dropped;
  /// the connections themselves live until they, or close(), end them.
  virtual void begin_epoch(Epoch epoch) = 0;

  /// kDead: no such connection (any more). kFull: the worker has not read for long.
  [[nodiscard]] virtual actors::Delivery send(ConnectionId connection, const CoordinatorMessage& message) = 0;

  /// Ends a connection once everything sent before is on its way. Its WorkerDisconnected follows.
  virtual void close(ConnectionId connection) = 0;

  /// Of all connected workers, by ascending connection.
  [[nodiscard]] virtual std::vector<LastHeard> last_heard() const = 0;

  /// Messages that were dropped because their epoch is over.
  [[nodiscard]] virtual std::int64_t stale_messages() const = 0;
};

}  // namespace troupe::comm
