#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "comm/control/link/channel.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/server.h"
#include "comm/control/options.h"

namespace troupe::comm {

/// What one connection may cost the server.
struct TcpServerLimits {
  Duration handshake = std::chrono::seconds(5);  // until a connection is authenticated, or closed
  Duration farewell = std::chrono::seconds(2);   // after close(), until the worker has closed its end, too
  std::size_t pending_connections = 64;          // not authenticated; one more closes the oldest
  std::size_t unacknowledged_bytes = Channel::kMaxUnacknowledgedBytes;
};

/// The server over TCP, with a thread of its own: heartbeats go out also when every actor is busy.
class TcpControlServer final : public ControlServer {
 public:
  /// Listens at once, so that contact() is known; throws kIo naming the address if it cannot.
  TcpControlServer(const ControlOptions& options, const Secret& secret, const Clock& clock,
                   const TcpServerLimits& limits = {});
  /// Breaks all connections, whatever is still on its way: close() them before, and await their
  /// WorkerDisconnected.
  ~TcpControlServer() override;

  /// How workers reach it: the port in use, and all of this host's addresses where it listens on every one.
  [[nodiscard]] Contact contact(Epoch epoch) const;

  void start(actors::Address<ServerEvents> events) override;
  void begin_epoch(Epoch epoch) override;
  [[nodiscard]] actors::Delivery send(ConnectionId connection, const CoordinatorMessage& message) override;
  void close(ConnectionId connection) override;
  [[nodiscard]] std::vector<LastHeard> last_heard() const override;
  [[nodiscard]] std::int64_t stale_messages() const override;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::comm
