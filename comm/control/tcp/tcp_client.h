#pragma once
#include <memory>

#include "base/clock.h"
#include "comm/control/link/client.h"
#include "comm/control/link/contact.h"
#include "comm/control/options.h"

namespace troupe::comm {

struct TcpClientLimits {
  Duration connect = std::chrono::seconds(30);   // until a coordinator has let this worker in
  Duration handshake = std::chrono::seconds(5);  // one attempt
  Duration silence = std::chrono::seconds(30);   // of the coordinator, until it counts as lost
  Duration farewell =
      std::chrono::seconds(2);  // after finish(), until the coordinator has closed its end, too
};

/// The client over TCP, with a thread of its own: heartbeats go out also when every actor is busy. A broken
/// connection is not made again: it ends the worker's epoch.
class TcpControlClient final : public ControlClient {
 public:
  TcpControlClient(const Contact& contact, const ControlOptions& options, const Clock& clock,
                   const TcpClientLimits& limits = {});
  /// Breaks the link, whatever is still on its way: finish() before.
  ~TcpControlClient() override;

  void start(actors::Address<ClientEvents> events) override;
  [[nodiscard]] actors::Delivery send(const WorkerMessage& message) override;
  [[nodiscard]] std::size_t unacknowledged() const override;
  [[nodiscard]] bool wait_until_acknowledged(Duration limit) override;
  void finish() override;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace troupe::comm
