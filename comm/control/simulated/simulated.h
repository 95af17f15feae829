#pragma once
#include <memory>
#include <string>

#include "actors/deterministic_runtime.h"
#include "comm/control/link/client.h"
#include "comm/control/link/server.h"

namespace troupe::comm {

namespace detail {
class SimulatedLinks;
}

struct SimulatedNetworkOptions {
  Duration heartbeat = std::chrono::milliseconds(250);
  Duration max_latency = std::chrono::milliseconds(2);
  Duration silence_limit = std::chrono::seconds(30);  // until a worker gives its coordinator up
};

/// Control links in memory and in virtual time: one coordinator and many workers in one thread, with the
/// faults of a network at hand. Messages pass through the codec, in order, each after a random delay.
/// Outlives its server and clients; the runtime outlives it.
class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(actors::DeterministicRuntime& runtime,
                            const SimulatedNetworkOptions& options = {});
  SimulatedNetwork(const SimulatedNetwork&) = delete;
  SimulatedNetwork& operator=(const SimulatedNetwork&) = delete;
  ~SimulatedNetwork();

  /// The coordinator's end. At most one lives at a time; when it is destroyed, all its links break.
  [[nodiscard]] std::unique_ptr<ControlServer> make_server();
  /// A worker's end; `peer` names it in WorkerConnected and in the faults below, and is used once at a time.
  /// When it is destroyed, its link breaks: that is a worker's death.
  [[nodiscard]] std::unique_ptr<ControlClient> make_client(Epoch epoch, const std::string& peer);

  /// Faults, by the peer's name.
  /// Breaks the link, and loses what is on its way: both ends learn of it.
  void break_link(const std::string& peer);
  /// The worker's machine stands still: nothing goes in or out, and it notices nothing. Until thaw().
  void freeze(const std::string& peer);
  void thaw(const std::string& peer);
  /// Nothing passes in either direction, and both ends may notice the silence. Until heal().
  void partition(const std::string& peer);
  void heal(const std::string& peer);

 private:
  std::unique_ptr<detail::SimulatedLinks> links_;
};

}  // namespace troupe::comm
