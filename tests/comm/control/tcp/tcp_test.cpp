// What only happens on a wire: strangers, garbage, slow and silent peers.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "actors/inbox.h"
#include "base/error.h"
#include "base/file.h"
#include "comm/control/link/frame.h"
#include "comm/control/link/handshake.h"
#include "comm/control/messages/codec.h"
#include "comm/control/tcp/tcp_client.h"
#include "comm/control/tcp/tcp_server.h"

namespace troupe::comm {
namespace {

using namespace std::chrono_literals;
using actors::Delivery;
using ServerInbox = actors::Inbox<ServerEvents>;
using ClientInbox = actors::Inbox<ClientEvents>;

constexpr Duration kLong = 60s;  // never reached unless something is broken
constexpr int kLongMilliseconds = 60'000;

/// A socket that says what it wants: a stranger, or a worker that misbehaves.
class RawPeer {
 public:
  explicit RawPeer(const Contact& contact) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(contact.port);
    EXPECT_EQ(::inet_pton(AF_INET, contact.addresses.at(0).c_str(), &address.sin_addr), 1);
    EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  /// False once the server closed the connection.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Exactly so many bytes, or as many as came until the end.
  std::string receive(std::size_t wanted) {
    std::string bytes;
    char buffer[4096];
    while (bytes.size() < wanted && is_readable()) {
      const ssize_t got = ::recv(socket_.get(), buffer, std::min(sizeof(buffer), wanted - bytes.size()), 0);
      if (got <= 0) break;
      bytes.append(buffer, static_cast<std::size_t>(got));
    }
    return bytes;
  }

  /// Waits until the server closes, whatever it says before.
  bool is_closed_by_server() {
    char buffer[4096];
    while (is_readable()) {
      if (::recv(socket_.get(), buffer, sizeof(buffer), 0) <= 0) return true;
    }
    return false;
  }

  /// The whole handshake of a worker.
  void authenticate(const Contact& contact) {
    const Nonces nonces{read_challenge(receive(kChallengeBytes)), make_secret()};
    EXPECT_TRUE(send(make_answer(contact.secret, nonces, contact.epoch)));
    EXPECT_TRUE(check_verdict(contact.secret, nonces, receive(kVerdictBytes)).welcome);
  }

 private:
  [[nodiscard]] bool is_readable() const {
    pollfd wanted{socket_.get(), POLLIN, 0};
    return ::poll(&wanted, 1, kLongMilliseconds) == 1;
  }

  FileDescriptor socket_;
};

class TcpControlTest : public testing::Test {
 protected:
  void start_server(const TcpServerLimits& limits = {}) {
    server_ = std::make_unique<TcpControlServer>(options_, make_secret(), clock_, limits);
    server_->begin_epoch(1);
    server_->start(inbox_.address());
    contact_ = server_->contact(1);
  }
  std::unique_ptr<TcpControlClient> start_client(const Contact& contact, const TcpClientLimits& limits = {}) {
    auto client = std::make_unique<TcpControlClient>(contact, options_, clock_, limits);
    client->start(client_inbox_.address());
    return client;
  }
  template <class Event, class SomeInbox>
  Event expect(SomeInbox& inbox) {
    auto event = inbox.receive(kLong);
    if (!event) throw std::runtime_error("no event came");
    return std::get<Event>(*event);
  }
  /// The server lets a worker in, and hears it.
  void expect_service() {
    ClientInbox client_inbox("worker");
    TcpControlClient client(contact_, options_, clock_);
    client.start(client_inbox.address());
    EXPECT_EQ(client.send(WorkerActive{3, 4, "step"}), Delivery::kDelivered);
    (void)expect<WorkerConnected>(inbox_);
    EXPECT_EQ(expect<WorkerMessageArrived>(inbox_).message, WorkerMessage(WorkerActive{3, 4, "step"}));
  }

  ControlOptions options_{.heartbeat_seconds = 0.02};
  SystemClock clock_;
  ServerInbox inbox_{"coordinator"};
  ClientInbox client_inbox_{"worker"};
  Contact contact_;
  std::unique_ptr<TcpControlServer> server_;
};

TEST_F(TcpControlTest, RefusesAWorkerWithAnotherSecret) {
  start_server();
  Contact wrong = contact_;
  wrong.secret = make_secret();
  const auto client = start_client(wrong, {.connect = 50ms});
  EXPECT_NE(expect<CoordinatorLost>(client_inbox_).reason.find("secret"), std::string::npos);
  EXPECT_FALSE(inbox_.try_receive().has_value());
  expect_service();
}

TEST_F(TcpControlTest, AWorkerRefusesACoordinatorWithAnotherSecret) {
  // An impostor that lets everyone in: a real server of another run would close the connection.
  const FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto client = start_client({{"127.0.0.1"}, ntohs(address.sin_port), make_secret(), 1});
  const FileDescriptor connection(::accept(listener.get(), nullptr, nullptr));
  const Nonces nonces{make_secret(), {}};
  const std::string lies = make_challenge(nonces.server) + make_verdict(make_secret(), nonces, {true, 1});
  EXPECT_EQ(::send(connection.get(), lies.data(), lies.size(), MSG_NOSIGNAL), std::ssize(lies));
  EXPECT_NE(expect<CoordinatorLost>(client_inbox_).reason.find("secret"), std::string::npos);
}

TEST_F(TcpControlTest, ClosesOnGarbageBeforeAuthentication) {
  start_server();
  RawPeer stranger(contact_);
  (void)stranger.send(
      "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: someone\r\nAccept: */*\r\nConnection: x");
  EXPECT_TRUE(stranger.is_closed_by_server());
  EXPECT_FALSE(inbox_.try_receive().has_value());
  expect_service();
}

TEST_F(TcpControlTest, ClosesWhenTheHandshakeTakesTooLong) {
  start_server({.handshake = 30ms});
  RawPeer slow(contact_);
  EXPECT_TRUE(slow.send("TRPA"));
  EXPECT_TRUE(slow.is_closed_by_server());
  expect_service();
}

TEST_F(TcpControlTest, LetsWorkersInPastManyStrangers) {
  start_server({.handshake = 1h, .pending_connections = 8});
  std::vector<std::unique_ptr<RawPeer>> strangers;
  for (int i = 0; i < 50; ++i) strangers.push_back(std::make_unique<RawPeer>(contact_));
  EXPECT_TRUE(strangers.front()->is_closed_by_server()) << "the oldest gives way";
  expect_service();
}

TEST_F(TcpControlTest, ClosesOnAnOversizedFrame) {
  start_server();
  RawPeer worker(contact_);
  worker.authenticate(contact_);
  std::string header = encode_frame({FrameKind::kMessage, 1, 1, ""});
  header[11] = '\x7F';  // the length's highest byte
  EXPECT_TRUE(worker.send(header));
  EXPECT_TRUE(worker.is_closed_by_server());
  (void)expect<WorkerConnected>(inbox_);
  (void)expect<WorkerDisconnected>(inbox_);
  expect_service();
}

TEST_F(TcpControlTest, ClosesOnAMessageThatIsNone) {
  start_server();
  for (const std::string& payload : {std::string("\xFF"), std::string(1 << 20, '\x81'),
                                     std::string(1 << 20, '\x7F'), encode(CoordinatorMessage(Dismiss{}))}) {
    RawPeer worker(contact_);
    worker.authenticate(contact_);
    (void)worker.send(encode_frame({FrameKind::kMessage, 1, 1, payload}));
    EXPECT_TRUE(worker.is_closed_by_server());
    (void)expect<WorkerConnected>(inbox_);
    EXPECT_NE(expect<WorkerDisconnected>(inbox_).reason.find("control message"), std::string::npos);
  }
  expect_service();
}

TEST_F(TcpControlTest, SaysThatAConnectionEndedInTheMiddleOfAMessage) {
  start_server();
  {
    RawPeer worker(contact_);
    worker.authenticate(contact_);
    const std::string frame =
        encode_frame({FrameKind::kMessage, 1, 1, encode(WorkerMessage(WorkerActive{}))});
    EXPECT_TRUE(worker.send(frame.substr(0, frame.size() - 1)));
    (void)expect<WorkerConnected>(inbox_);
    EXPECT_GE(worker.receive(kFrameHeaderBytes).size(), kFrameHeaderBytes);  // a heartbeat: it reads
  }
  EXPECT_NE(expect<WorkerDisconnected>(inbox_).reason, "");
}

TEST_F(TcpControlTest, DropsSingleMessagesOfAnotherEpoch) {
  start_server();
  RawPeer worker(contact_);
  worker.authenticate(contact_);
  EXPECT_TRUE(worker.send(
      encode_frame({FrameKind::kMessage, 0, 1, encode(WorkerMessage(WorkerActive{0, 1, "old"}))}) +
      encode_frame({FrameKind::kMessage, 1, 1, encode(WorkerMessage(WorkerActive{0, 1, "new"}))})));
  (void)expect<WorkerConnected>(inbox_);
  EXPECT_EQ(expect<WorkerMessageArrived>(inbox_).message, WorkerMessage(WorkerActive{0, 1, "new"}));
  EXPECT_EQ(server_->stale_messages(), 1);
}

TEST_F(TcpControlTest, BoundsWhatWaitsForAWorkerThatDoesNotRead) {
  start_server({.unacknowledged_bytes = 1 << 20});
  RawPeer worker(contact_);
  worker.authenticate(contact_);
  const ConnectionId id = expect<WorkerConnected>(inbox_).connection;
  const CoordinatorMessage large = StopTraining{std::string(100 << 10, 'x')};
  int sent = 0;
  while (sent < 100 && server_->send(id, large) == Delivery::kDelivered) ++sent;
  EXPECT_LT(sent, 100);
  EXPECT_EQ(server_->send(id, Dismiss{}), Delivery::kDelivered) << "a small message still fits";
  expect_service();
}

TEST_F(TcpControlTest, EndsTheFarewellOfAWorkerThatDoesNotAnswerIt) {
  start_server({.farewell = 30ms});
  RawPeer worker(contact_);
  worker.authenticate(contact_);
  const ConnectionId id = expect<WorkerConnected>(inbox_).connection;
  server_->close(id);
  EXPECT_EQ(expect<WorkerDisconnected>(inbox_).connection, id);
}

TEST_F(TcpControlTest, FindsACoordinatorThatComesLater) {
  start_server();
  const std::int64_t port = contact_.port;
  const Secret secret = contact_.secret;
  server_.reset();
  const auto client = start_client(contact_);
  options_.port = port;
  server_ = std::make_unique<TcpControlServer>(options_, secret, clock_);
  server_->begin_epoch(1);
  server_->start(inbox_.address());
  (void)expect<CoordinatorConnected>(client_inbox_);
}

TEST_F(TcpControlTest, GivesUpWhenNoCoordinatorComes) {
  start_server();
  server_.reset();
  const auto client = start_client(contact_, {.connect = 50ms});
  const std::string reason = expect<CoordinatorLost>(client_inbox_).reason;
  EXPECT_NE(reason.find(std::to_string(contact_.port)), std::string::npos) << reason;
}

TEST_F(TcpControlTest, GivesUpACoordinatorThatFallsSilent) {
  start_server();
  options_.heartbeat_seconds = 3600;  // of the client only: it looks twice a second
  server_.reset();
  server_ = std::make_unique<TcpControlServer>(options_, contact_.secret, clock_);
  server_->begin_epoch(1);
  server_->start(inbox_.address());
  const auto client = start_client(server_->contact(1), {.silence = 1ms});
  (void)expect<CoordinatorConnected>(client_inbox_);
  EXPECT_NE(expect<CoordinatorLost>(client_inbox_).reason.find("silent"), std::string::npos);
}

TEST_F(TcpControlTest, ListensAtEveryAddressAndSaysThemByNumber) {
  options_.address = "0.0.0.0";
  start_server();
  for (const std::string& address : contact_.addresses) {
    in_addr parsed{};
    EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &parsed), 1) << address;
  }
  expect_service();
}

TEST_F(TcpControlTest, FindsTheCoordinatorBehindAddressesThatAreNotIts) {
  start_server();
  contact_.addresses = {"127.99.99.99", "no-such-host.invalid", contact_.addresses.front()};
  expect_service();
}

TEST_F(TcpControlTest, NamesAPortThatIsTaken) {
  start_server();
  options_.port = contact_.port;
  try {
    const TcpControlServer second(options_, make_secret(), clock_);
    FAIL() << "listens on a port that is taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find(std::to_string(contact_.port)), std::string::npos);
  }
}

TEST_F(TcpControlTest, NamesAnAddressThatIsNone) {
  options_.address = "not an address";
  EXPECT_THROW(TcpControlServer(options_, make_secret(), clock_), Error);
}

}  // namespace
}  // namespace troupe::comm
