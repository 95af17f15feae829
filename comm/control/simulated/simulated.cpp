#include "comm/control/simulated/simulated.h"

#include <utility>

#include "comm/control/simulated/simulated_links.h"

namespace troupe::comm {

namespace {

class SimulatedServer final : public ControlServer {
 public:
  explicit SimulatedServer(detail::SimulatedLinks& links) : links_(links) { links_.add_server(); }
  ~SimulatedServer() override { links_.remove_server(); }

  void start(actors::Address<ServerEvents> events) override { links_.start_server(std::move(events)); }
  void begin_epoch(Epoch epoch) override { links_.begin_epoch(epoch); }
  actors::Delivery send(ConnectionId connection, const CoordinatorMessage& message) override {
    return links_.send_to_worker(connection, message);
  }
  void close(ConnectionId connection) override { links_.close(connection); }
  [[nodiscard]] std::vector<LastHeard> last_heard() const override { return links_.last_heard(); }
  [[nodiscard]] std::int64_t stale_messages() const override { return links_.stale_messages(); }

 private:
  detail::SimulatedLinks& links_;
};

class SimulatedClient final : public ControlClient {
 public:
  SimulatedClient(detail::SimulatedLinks& links, Epoch epoch, const std::string& peer)
      : links_(links), id_(links.add_client(epoch, peer)) {}
  ~SimulatedClient() override { links_.remove_client(id_); }

  void start(actors::Address<ClientEvents> events) override { links_.start_client(id_, std::move(events)); }
  actors::Delivery send(const WorkerMessage& message) override {
    return links_.send_to_coordinator(id_, message);
  }
  [[nodiscard]] std::size_t unacknowledged() const override { return links_.unacknowledged(id_); }
  /// Virtual time stands still while its only thread is here.
  bool wait_until_acknowledged(Duration /*limit*/) override { return unacknowledged() == 0; }
  void finish() override { links_.finish(id_); }

 private:
  detail::SimulatedLinks& links_;
  ConnectionId id_;
};

}  // namespace

SimulatedNetwork::SimulatedNetwork(actors::DeterministicRuntime& runtime,
                                   const SimulatedNetworkOptions& options)
    : links_(std::make_unique<detail::SimulatedLinks>(runtime, options)) {}

SimulatedNetwork::~SimulatedNetwork() = default;

std::unique_ptr<ControlServer> SimulatedNetwork::make_server() {
  return std::make_unique<SimulatedServer>(*links_);
}

std::unique_ptr<ControlClient> SimulatedNetwork::make_client(Epoch epoch, const std::string& peer) {
  return std::make_unique<SimulatedClient>(*links_, epoch, peer);
}

void SimulatedNetwork::break_link(const std::string& peer) { links_->break_link(peer); }
void SimulatedNetwork::freeze(const std::string& peer) { links_->freeze(peer); }
void SimulatedNetwork::thaw(const std::string& peer) { links_->thaw(peer); }
void SimulatedNetwork::partition(const std::string& peer) { links_->partition(peer); }
void SimulatedNetwork::heal(const std::string& peer) { links_->heal(peer); }

}  // namespace troupe::comm
