#include "comm/control/tcp/tcp_server.h"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/network.h"
#include "comm/control/link/server_session.h"
#include "comm/control/messages/codec.h"

namespace troupe::comm {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr Duration kRetry = 10ms;         // while a mailbox is full
constexpr Duration kAcceptAgain = 1s;     // when no file descriptor is left for a connection
constexpr Duration kLongestBeat = 500ms;  // deadlines are looked at once per beat

tcp::endpoint endpoint(const ControlOptions& options) {
  error_code error;
  const bool is_automatic = options.address == kAutomaticAddress;  // nobody knew of workers elsewhere
  const auto address = asio::ip::make_address(is_automatic ? "127.0.0.1" : options.address, error);
  if (error) {
    throw Error(ErrorCode::kConfig, "control.address: '{}' is not an IP address", options.address);
  }
  return {address, static_cast<std::uint16_t>(options.port)};
}

tcp::acceptor listen(asio::io_context& context, const ControlOptions& options) {
  const tcp::endpoint where = endpoint(options);
  try {
    tcp::acceptor acceptor(context, where);
    if (::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC) != 0)
      throw io_error("fcntl of the control port");
    return acceptor;
  } catch (const boost::system::system_error& error) {
    throw Error(ErrorCode::kIo, "cannot listen on {}:{} for workers: {}; choose another control.port",
                options.address, options.port, error.code().message());
  }
}

std::string describe(const tcp::socket& socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  return error ? "a peer that is gone" : fmt::format("{}:{}", peer.address().to_string(), peer.port());
}

/// Of those that listen at `address`; by number, so that workers need no names.
std::vector<std::string> reachable_addresses(const asio::ip::address& address) {
  if (!address.is_unspecified()) return {address.to_string()};
  std::vector<std::string> own = own_addresses();
  if (address.is_v4())
    std::erase_if(own, [](const std::string& one) { return one.find(':') != std::string::npos; });
  return own.empty() ? std::vector<std::string>{"127.0.0.1"} : own;
}

Duration beat_interval(const ControlOptions& options) {
  const auto heartbeat =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.heartbeat_seconds));
  return std::min(heartbeat, kLongestBeat);
}

}  // namespace

/// The thread runs all handlers; each takes the mutex, as every public function does.
class TcpControlServer::Implementation {
 public:
  Implementation(const ControlOptions& options, const Secret& secret, const Clock& clock,
                 const TcpServerLimits& limits)
      : limits_(limits),
        beat_interval_(beat_interval(options)),
        acceptor_(listen(context_, options)),
        accept_timer_(context_),
        beat_timer_(context_),
        retry_timer_(context_),
        state_{.secret = secret,
               .clock = clock,
               .farewell = limits.farewell,
               .unacknowledged_bytes = limits.unacknowledged_bytes,
               .events = {}} {}

  ~Implementation() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void start(actors::Address<ServerEvents> events) {
    const std::lock_guard lock(mutex_);
    TROUPE_CHECK(!thread_.joinable(), "the control server was started before");
    state_.events = std::move(events);
    accept();
    beat_later();
    thread_ = std::thread([this] { context_.run(); });
  }

  void begin_epoch(Epoch epoch) {
    const std::lock_guard lock(mutex_);
    state_.epoch = epoch;
  }

  actors::Delivery send(ConnectionId id, const CoordinatorMessage& message) {
    std::string payload = encode(message);
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(id);
    if (found == connections_.end()) return actors::Delivery::kDead;
    const actors::Delivery delivery = found->second->session.send(std::move(payload));
    if (delivery == actors::Delivery::kDelivered)
      post_to(id, [](detail::ServerSession& session) { session.flush(); });
    return delivery;
  }

  void close(ConnectionId id) {
    post_to(id, [](detail::ServerSession& session) { session.close(); });
  }

  std::vector<LastHeard> last_heard() const {
    const std::lock_guard lock(mutex_);
    std::vector<LastHeard> heard;
    for (const auto& [id, connection] : connections_) {
      if (connection->session.is_connected()) heard.push_back({id, connection->session.last_heard()});
    }
    return heard;
  }

  std::int64_t stale_messages() const {
    const std::lock_guard lock(mutex_);
    return state_.stale_messages;
  }

  tcp::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }
  const Secret& secret() const { return state_.secret; }

 private:
  /// Brings a stream and its session together.
  struct Connection final : detail::TcpStreamOwner {
    Connection(Implementation& server, ConnectionId id, tcp::socket socket, std::string peer)
        : server_(server),
          stream(std::move(socket), *this),
          session(id, stream, std::move(peer), server.state_) {}

    void on_bytes(std::string_view bytes) override {
      const std::lock_guard lock(server_.mutex_);
      session.on_bytes(bytes);
      server_.pump(session);
    }
    void on_end(const std::string& reason) override {
      const std::lock_guard lock(server_.mutex_);
      session.on_end(reason);
      server_.pump(session);
    }

    Implementation& server_;
    detail::TcpStream stream;
    detail::ServerSession session;
  };

  void accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      const std::lock_guard lock(mutex_);
      if (!error) {
        add(std::move(socket));
        return accept();
      }
      log::warn("control link: a connection could not be accepted: {}", error.message());
      accept_timer_.expires_after(kAcceptAgain);
      accept_timer_.async_wait([this](const error_code&) { accept(); });
    });
  }

  void add(tcp::socket socket) {
    make_room();
    const ConnectionId id = ++last_id_;
    std::string peer = describe(socket);
    try {
      connections_.emplace(id, std::make_unique<Connection>(*this, id, std::move(socket), std::move(peer)));
    } catch (const Error& error) {
      log::warn("control link: a connection is not let in: {}", error.what());
    }
  }

  /// Strangers who say nothing cannot keep workers out: the oldest of them gives way.
  void make_room() {
    if (state_.pending_connections < limits_.pending_connections) return;
    const auto oldest = std::ranges::find_if(
        connections_, [](const auto& entry) { return entry.second->session.is_pending(); });
    if (oldest != connections_.end())
      oldest->second->session.abandon("too many connections are not authenticated");
  }

  template <class Action>
  void post_to(ConnectionId id, Action action) {
    asio::post(context_, [this, id, action] {
      const std::lock_guard lock(mutex_);
      const auto found = connections_.find(id);
      if (found != connections_.end()) action(found->second->session);
    });
  }

  void pump(detail::ServerSession& session) {
    if (!session.pump()) retry_later();
  }

  void retry_later() {
    if (std::exchange(retrying_, true)) return;
    retry_timer_.expires_after(kRetry);
    retry_timer_.async_wait([this](const error_code&) {
      const std::lock_guard lock(mutex_);
      retrying_ = false;
      for (const auto& [id, connection] : connections_) pump(connection->session);
    });
  }

  void beat_later() {
    beat_timer_.expires_after(beat_interval_);
    beat_timer_.async_wait([this](const error_code&) {
      const std::lock_guard lock(mutex_);
      beat();
      beat_later();
    });
  }

  void beat() {
    const TimePoint too_old = state_.clock.now() - limits_.handshake;
    for (const auto& [id, connection] : connections_) {
      detail::ServerSession& session = connection->session;
      if (session.is_pending() && session.started() < too_old) session.abandon("its handshake took too long");
      session.beat();
      pump(session);
    }
    std::erase_if(connections_, [](const auto& entry) {
      return entry.second->session.is_over() && entry.second->stream.is_idle();
    });
  }

  const TcpServerLimits limits_;
  const Duration beat_interval_;
  mutable std::mutex mutex_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  asio::steady_timer beat_timer_;
  asio::steady_timer retry_timer_;
  bool retrying_ = false;
  detail::ServerState state_;
  ConnectionId last_id_ = 0;
  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  std::thread thread_;
};

TcpControlServer::TcpControlServer(const ControlOptions& options, const Secret& secret, const Clock& clock,
                                   const TcpServerLimits& limits)
    : implementation_(std::make_unique<Implementation>(options, secret, clock, limits)) {}

TcpControlServer::~TcpControlServer() = default;

Contact TcpControlServer::contact(Epoch epoch) const {
  const tcp::endpoint local = implementation_->local_endpoint();
  return {reachable_addresses(local.address()), local.port(), implementation_->secret(), epoch};
}

void TcpControlServer::start(actors::Address<ServerEvents> events) {
  implementation_->start(std::move(events));
}

void TcpControlServer::begin_epoch(Epoch epoch) { implementation_->begin_epoch(epoch); }

actors::Delivery TcpControlServer::send(ConnectionId connection, const CoordinatorMessage& message) {
  return implementation_->send(connection, message);
}

void TcpControlServer::close(ConnectionId connection) { implementation_->close(connection); }

std::vector<LastHeard> TcpControlServer::last_heard() const { return implementation_->last_heard(); }

std::int64_t TcpControlServer::stale_messages() const { return implementation_->stale_messages(); }

}  // namespace troupe::comm
