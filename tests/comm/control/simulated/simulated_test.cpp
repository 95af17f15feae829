#include "comm/control/simulated/simulated.h"

#include <gtest/gtest.h>

#include "actors/inbox.h"
#include "tests/comm/control/messages/example_messages.h"

namespace troupe::comm {
namespace {

using namespace std::chrono_literals;
using actors::Delivery;
using ServerInbox = actors::Inbox<ServerEvents>;
using ClientInbox = actors::Inbox<ClientEvents>;

template <class Event, class Variant>
bool is(const std::optional<Variant>& event) {
  return event && std::holds_alternative<Event>(*event);
}

class SimulatedNetworkTest : public testing::Test {
 protected:
  SimulatedNetworkTest() {
    server_->begin_epoch(1);
    server_->start(server_inbox_.address());
    client_->start(client_inbox_.address());
    EXPECT_TRUE(is<WorkerConnected>(next(server_inbox_)));
    EXPECT_TRUE(is<CoordinatorConnected>(next(client_inbox_)));
  }

  /// The next event within `limit` of virtual time.
  template <class SomeInbox>
  std::optional<typename SomeInbox::Message> next(SomeInbox& inbox, Duration limit = 10s) {
    std::optional<typename SomeInbox::Message> event;
    (void)runtime_.run_until([&] { return (event = inbox.try_receive()).has_value(); }, limit);
    return event;
  }
  [[nodiscard]] Duration age() const { return runtime_.clock().now() - server_->last_heard().at(0).time; }

  actors::DeterministicRuntime runtime_{11};
  SimulatedNetwork network_{runtime_};
  ServerInbox server_inbox_{"coordinator"};
  ClientInbox client_inbox_{"worker"};
  std::unique_ptr<ControlServer> server_ = network_.make_server();
  std::unique_ptr<ControlClient> client_ = network_.make_client(1, "worker 0");
};

TEST_F(SimulatedNetworkTest, HoldsEverythingFromAFrozenWorkerUntilItThaws) {
  network_.freeze("worker 0");
  EXPECT_EQ(client_->send(WorkerActive{0, 1, "forward"}), Delivery::kDelivered);
  EXPECT_EQ(server_->send(1, StopTraining{"enough"}), Delivery::kDelivered);
  EXPECT_FALSE(next(server_inbox_, 60s).has_value());
  EXPECT_FALSE(client_inbox_.try_receive().has_value()) << "a frozen worker noticed the silence";
  EXPECT_GT(age(), 59s);
  network_.thaw("worker 0");
  EXPECT_TRUE(is<WorkerMessageArrived>(next(server_inbox_)));
  EXPECT_TRUE(is<CoordinatorMessageArrived>(next(client_inbox_)));
  EXPECT_LE(age(), 250ms);
}

TEST_F(SimulatedNetworkTest, WorkerGivesUpBehindAPartition) {
  network_.partition("worker 0");
  EXPECT_FALSE(next(client_inbox_, 29s).has_value());
  EXPECT_TRUE(is<CoordinatorLost>(next(client_inbox_, 2s)));
  EXPECT_EQ(client_->send(WorkerActive{}), Delivery::kDead);
  EXPECT_FALSE(next(server_inbox_, 60s).has_value()) << "news passed a partition";
  network_.heal("worker 0");
  EXPECT_TRUE(is<WorkerDisconnected>(next(server_inbox_)));
}

TEST_F(SimulatedNetworkTest, AShortPartitionOnlyDelays) {
  network_.partition("worker 0");
  EXPECT_EQ(client_->send(WorkerActive{}), Delivery::kDelivered);
  EXPECT_EQ(server_->send(1, StopTraining{"enough"}), Delivery::kDelivered);
  EXPECT_FALSE(next(server_inbox_, 20s).has_value());
  EXPECT_FALSE(client_inbox_.try_receive().has_value()) << "a message passed a partition";
  network_.heal("worker 0");
  EXPECT_TRUE(is<CoordinatorMessageArrived>(next(client_inbox_)));
  EXPECT_TRUE(is<WorkerMessageArrived>(next(server_inbox_)));
  EXPECT_FALSE(next(client_inbox_, 60s).has_value());
}

TEST_F(SimulatedNetworkTest, ABrokenLinkIsNoticedAtBothEnds) {
  network_.break_link("worker 0");
  EXPECT_TRUE(is<WorkerDisconnected>(next(server_inbox_, 10ms)));
  EXPECT_TRUE(is<CoordinatorLost>(next(client_inbox_, 10ms)));
  EXPECT_TRUE(server_->last_heard().empty());
}

TEST_F(SimulatedNetworkTest, RunsTheSameFromTheSameSeed) {
  const auto run = [](std::uint64_t seed) {
    actors::DeterministicRuntime runtime(seed);
    SimulatedNetwork network(runtime);
    ServerInbox inbox("coordinator", 10'000);
    const auto server = network.make_server();
    server->start(inbox.address());
    std::vector<std::unique_ptr<ControlClient>> clients;
    ClientInbox ignored("workers", 100'000);
    for (int i = 0; i < 100; ++i) {
      clients.push_back(network.make_client(0, std::to_string(i)));
      clients.back()->start(ignored.address());
      EXPECT_EQ(clients.back()->send(WorkerActive{i, 0, ""}), Delivery::kDelivered);
    }
    runtime.run_for(1s);
    std::vector<ConnectionId> order;
    while (const auto event = inbox.try_receive()) {
      if (const auto* message = std::get_if<WorkerMessageArrived>(&*event))
        order.push_back(message->connection);
    }
    return order;
  };
  EXPECT_EQ(run(1).size(), 100U);
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace troupe::comm
