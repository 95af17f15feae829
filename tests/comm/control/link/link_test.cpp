// What both ends of a control link may rely on, over TCP and simulated.
#include <gtest/gtest.h>

#include "actors/inbox.h"
#include "comm/control/simulated/simulated.h"
#include "comm/control/tcp/tcp_client.h"
#include "comm/control/tcp/tcp_server.h"
#include "tests/comm/control/messages/example_messages.h"

namespace troupe::comm {
namespace {

using namespace std::chrono_literals;
using actors::Delivery;
using ServerInbox = actors::Inbox<ServerEvents>;
using ClientInbox = actors::Inbox<ClientEvents>;

constexpr Duration kLong = 60s;  // never reached unless something is broken

/// One way to make links, and to let their time pass.
class Links {
 public:
  virtual ~Links() = default;
  virtual std::unique_ptr<ControlServer> make_server() = 0;
  virtual std::unique_ptr<ControlClient> make_client(Epoch epoch) = 0;
  /// Waits until the condition holds; false if it does not.
  virtual bool wait(const std::function<bool()>& condition) = 0;
};

class TcpLinks final : public Links {
 public:
  std::unique_ptr<ControlServer> make_server() override {
    auto server = std::make_unique<TcpControlServer>(options_, make_secret(), clock_);
    contact_ = server->contact(0);
    return server;
  }
  std::unique_ptr<ControlClient> make_client(Epoch epoch) override {
    Contact contact = contact_;
    contact.epoch = epoch;
    return std::make_unique<TcpControlClient>(contact, options_, clock_);
  }
  bool wait(const std::function<bool()>& condition) override {
    const TimePoint end = clock_.now() + kLong;
    actors::Inbox<actors::Accepts<int>> pause("pause");
    while (!condition()) {
      if (clock_.now() > end) return false;
      (void)pause.receive(1ms);
    }
    return true;
  }

 private:
  ControlOptions options_{.heartbeat_seconds = 0.02};
  SystemClock clock_;
  Contact contact_;
};

class SimulatedLinks final : public Links {
 public:
  std::unique_ptr<ControlServer> make_server() override { return network_.make_server(); }
  std::unique_ptr<ControlClient> make_client(Epoch epoch) override {
    return network_.make_client(epoch, "worker " + std::to_string(++clients_));
  }
  bool wait(const std::function<bool()>& condition) override { return runtime_.run_until(condition, kLong); }

 private:
  actors::DeterministicRuntime runtime_{23};
  SimulatedNetwork network_{runtime_};
  int clients_ = 0;
};

class ControlLink : public testing::TestWithParam<std::string> {
 protected:
  ControlLink() {
    if (GetParam() == "Tcp") links_ = std::make_unique<TcpLinks>();
    if (GetParam() == "Simulated") links_ = std::make_unique<SimulatedLinks>();
    server_ = links_->make_server();
    server_->begin_epoch(1);
    server_->start(server_inbox_.address());
    client_ = links_->make_client(1);
  }

  template <class SomeInbox>
  typename SomeInbox::Message next(SomeInbox& inbox) {
    std::optional<typename SomeInbox::Message> event;
    if (!links_->wait([&] { return (event = inbox.try_receive()).has_value(); })) {
      throw std::runtime_error("no event came");
    }
    return *event;
  }
  template <class Event, class SomeInbox>
  Event expect(SomeInbox& inbox) {
    return std::get<Event>(next(inbox));
  }
  /// Starts the client; the connection's number.
  ConnectionId connect() {
    client_->start(client_inbox_.address());
    expect<CoordinatorConnected>(client_inbox_);
    return expect<WorkerConnected>(server_inbox_).connection;
  }

  ServerInbox server_inbox_{"coordinator", 64};
  ClientInbox client_inbox_{"worker", 64};
  std::unique_ptr<Links> links_;
  std::unique_ptr<ControlServer> server_;
  std::unique_ptr<ControlClient> client_;
};

INSTANTIATE_TEST_SUITE_P(Links, ControlLink, testing::Values("Tcp", "Simulated"),
                         [](const auto& instance) { return instance.param; });

TEST_P(ControlLink, CarriesEveryMessageBothWaysInOrder) {
  const ConnectionId id = connect();
  for (const WorkerMessage& message : example_worker_messages()) {
    EXPECT_EQ(client_->send(message), Delivery::kDelivered);
  }
  for (const CoordinatorMessage& message : example_coordinator_messages()) {
    EXPECT_EQ(server_->send(id, message), Delivery::kDelivered);
  }
  for (const WorkerMessage& message : example_worker_messages()) {
    EXPECT_EQ(next(server_inbox_), (ServerInbox::Message(WorkerMessageArrived{id, 1, message})));
  }
  for (const CoordinatorMessage& message : example_coordinator_messages()) {
    EXPECT_EQ(next(client_inbox_), (ClientInbox::Message(CoordinatorMessageArrived{1, message})));
  }
}

TEST_P(ControlLink, DeliversWhatWasReportedBeforeTheLinkStood) {
  EXPECT_EQ(client_->send(WorkerActive{5, 6, "load"}), Delivery::kDelivered);
  EXPECT_EQ(client_->unacknowledged(), 1U);
  const ConnectionId id = connect();
  EXPECT_EQ(expect<WorkerMessageArrived>(server_inbox_),
            (WorkerMessageArrived{id, 1, WorkerActive{5, 6, "load"}}));
  EXPECT_TRUE(links_->wait([&] { return client_->unacknowledged() == 0; }));
}

TEST_P(ControlLink, HoldsReportsBackWhileTheMailboxIsFull) {
  constexpr int kReports = 500;  // the mailbox holds 64
  const ConnectionId id = connect();
  for (int i = 0; i < kReports; ++i) EXPECT_EQ(client_->send(WorkerActive{i, 0, ""}), Delivery::kDelivered);
  EXPECT_TRUE(links_->wait([&] { return client_->unacknowledged() <= kReports - 64; }));
  EXPECT_EQ(client_->unacknowledged(), kReports - 64U) << "acknowledged before it was in the mailbox";
  for (int i = 0; i < kReports; ++i) {
    EXPECT_EQ(expect<WorkerMessageArrived>(server_inbox_),
              (WorkerMessageArrived{id, 1, WorkerActive{i, 0, ""}}));
  }
  EXPECT_TRUE(links_->wait([&] { return client_->wait_until_acknowledged(1s); }));
}

TEST_P(ControlLink, FinishesOnlyOnceEverythingIsAcknowledged) {
  constexpr int kReports = 200;
  const ConnectionId id = connect();
  for (int i = 0; i < kReports; ++i) EXPECT_EQ(client_->send(WorkerActive{i, 0, ""}), Delivery::kDelivered);
  client_->finish();
  EXPECT_EQ(client_->send(WorkerActive{}), Delivery::kDead);
  EXPECT_TRUE(links_->wait([&] { return client_->unacknowledged() <= kReports - 64; }));
  EXPECT_FALSE(client_inbox_.try_receive().has_value()) << "finished before everything was acknowledged";
  for (int i = 0; i < kReports; ++i) (void)expect<WorkerMessageArrived>(server_inbox_);
  expect<LinkFinished>(client_inbox_);
  EXPECT_EQ(expect<WorkerDisconnected>(server_inbox_).connection, id);
}

TEST_P(ControlLink, NoticesTheEndOfAWorkerAtOnceAfterItsLastReport) {
  const ConnectionId id = connect();
  EXPECT_EQ(client_->send(WorkerFailed{0, "io", "disk gone"}), Delivery::kDelivered);
  EXPECT_TRUE(links_->wait([&] { return client_->unacknowledged() == 0; }));
  client_.reset();
  EXPECT_EQ(expect<WorkerMessageArrived>(server_inbox_).connection, id);
  const auto gone = expect<WorkerDisconnected>(server_inbox_);
  EXPECT_EQ(gone.connection, id);
  EXPECT_EQ(gone.epoch, 1);
  EXPECT_NE(gone.reason, "");
  EXPECT_EQ(server_->send(id, Dismiss{}), Delivery::kDead);
  EXPECT_TRUE(server_->last_heard().empty());
}

TEST_P(ControlLink, NoticesTheEndOfTheCoordinatorAtOnce) {
  connect();
  server_.reset();
  EXPECT_NE(expect<CoordinatorLost>(client_inbox_).reason, "");
  EXPECT_EQ(client_->send(WorkerActive{}), Delivery::kDead);
  EXPECT_TRUE(client_->wait_until_acknowledged(kLong)) << "nothing was on its way";
}

TEST_P(ControlLink, SendsEverythingBeforeItCloses) {
  const ConnectionId id = connect();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(server_->send(id, StopTraining{"reason"}), Delivery::kDelivered);
  EXPECT_EQ(server_->send(id, Dismiss{}), Delivery::kDelivered);
  server_->close(id);
  for (int i = 0; i < 50; ++i) (void)expect<CoordinatorMessageArrived>(client_inbox_);
  EXPECT_EQ(expect<CoordinatorMessageArrived>(client_inbox_).message, CoordinatorMessage(Dismiss{}));
  expect<CoordinatorLost>(client_inbox_);
  EXPECT_EQ(expect<WorkerDisconnected>(server_inbox_).connection, id);
}

TEST_P(ControlLink, RefusesWorkersOfAnotherEpoch) {
  client_ = links_->make_client(7);
  client_->start(client_inbox_.address());
  EXPECT_NE(expect<CoordinatorLost>(client_inbox_).reason.find("epoch"), std::string::npos);
  EXPECT_FALSE(server_inbox_.try_receive().has_value());
}

TEST_P(ControlLink, DropsReportsOfAnEpochThatIsOver) {
  const ConnectionId old_id = connect();
  server_->begin_epoch(2);
  EXPECT_EQ(client_->send(WorkerActive{1, 1, "old"}), Delivery::kDelivered);
  EXPECT_TRUE(links_->wait([&] { return server_->stale_messages() == 1; }));
  EXPECT_EQ(client_->unacknowledged(), 1U);
  const auto new_client = links_->make_client(2);
  ClientInbox new_inbox("new worker");
  new_client->start(new_inbox.address());
  EXPECT_EQ(new_client->send(WorkerActive{2, 2, "new"}), Delivery::kDelivered);
  const auto connected = expect<WorkerConnected>(server_inbox_);
  EXPECT_EQ(connected.epoch, 2);
  EXPECT_NE(connected.connection, old_id);
  EXPECT_EQ(expect<WorkerMessageArrived>(server_inbox_).epoch, 2);
}

TEST_P(ControlLink, HeartbeatsKeepEveryConnectionYoung) {
  const ConnectionId id = connect();
  const LastHeard first = server_->last_heard().at(0);
  EXPECT_EQ(first.connection, id);
  EXPECT_TRUE(links_->wait([&] { return server_->last_heard().at(0).time > first.time; }));
}

TEST_P(ControlLink, ServesManyWorkers) {
  constexpr int kWorkers = 40;
  std::vector<std::unique_ptr<ControlClient>> clients;
  ClientInbox ignored("workers", 1000);
  for (int i = 0; i < kWorkers; ++i) {
    clients.push_back(links_->make_client(1));
    clients.back()->start(ignored.address());
    EXPECT_EQ(clients.back()->send(WorkerActive{i, 0, ""}), Delivery::kDelivered);
  }
  std::vector<bool> seen(kWorkers, false);
  for (int i = 0; i < 2 * kWorkers; ++i) {
    const auto event = next(server_inbox_);
    const auto* arrived = std::get_if<WorkerMessageArrived>(&event);
    if (arrived != nullptr)
      seen.at(static_cast<std::size_t>(std::get<WorkerActive>(arrived->message).rank)) = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kWorkers);
}

}  // namespace
}  // namespace troupe::comm
