#pragma once
#include <cstddef>
#include <string>

#include "actors/address.h"
#include "base/clock.h"
#include "comm/control/messages/messages.h"

namespace troupe::comm {

/// The coordinator was found, and both proved that they know the run's secret.
struct CoordinatorConnected {
  bool operator==(const CoordinatorConnected&) const = default;
};

struct CoordinatorMessageArrived {
  Epoch epoch = 0;
  CoordinatorMessage message;
  bool operator==(const CoordinatorMessageArrived&) const = default;
};

/// The link is gone, or was silent for too long: the end of this worker's epoch. The last event.
struct CoordinatorLost {
  std::string reason;
  bool operator==(const CoordinatorLost&) const = default;
};

/// After finish(): every report was acknowledged, and the link is closed. The last event.
struct LinkFinished {
  bool operator==(const LinkFinished&) const = default;
};

using ClientEvents =
    actors::Accepts<CoordinatorConnected, CoordinatorMessageArrived, CoordinatorLost, LinkFinished>;

/// A worker's end of its control link: tcp_client.h, or simulated.h for tests.
/// Thread-safe: the compute thread may report directly.
class ControlClient {
 public:
  virtual ~ControlClient() = default;

  /// Begins to connect, and sends all events to `events`. Once.
  virtual void start(actors::Address<ClientEvents> events) = 0;

  /// Queues a report, also before the link stands; never waits. Reports arrive in order.
  /// kFull: the coordinator has not acknowledged for long; kDead: it is lost, or finish() was called.
  [[nodiscard]] virtual actors::Delivery send(const WorkerMessage& message) = 0;

  /// Reports that the coordinator has not acknowledged yet.
  [[nodiscard]] virtual std::size_t unacknowledged() const = 0;

  /// Waits, for `limit` at most, until every report is acknowledged; false if it is not, or the link is
  /// lost. For the thread that must not end its process before; not for actors.
  [[nodiscard]] virtual bool wait_until_acknowledged(Duration limit) = 0;

  /// No more reports: closes the link once every one is acknowledged. LinkFinished or CoordinatorLost
  /// follows.
  virtual void finish() = 0;
};

}  // namespace troupe::comm
