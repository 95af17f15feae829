#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "comm/control/link/contact.h"
#include "comm/control/link/handshake.h"
#include "comm/control/tcp/tcp_stream.h"

namespace troupe::comm::detail {

/// Finds a coordinator and convinces it: resolves, connects, shakes hands; again, at its addresses in turn,
/// until it worked, or is refused for good, or time is up. Only for its context's thread.
class TcpConnector final : public TcpStreamOwner {
 public:
  using Connected = std::function<void(std::unique_ptr<TcpStream>)>;  // authenticated, nothing read yet
  using Failed = std::function<void(const std::string& reason)>;

  /// connect: until it fails for good; handshake: until all addresses were tried once.
  TcpConnector(boost::asio::io_context& context, const Contact& contact, const Clock& clock, Duration connect,
               Duration handshake);

  /// Calls one of both, once, unless it is cancelled before.
  void start(Connected connected, Failed failed);
  void cancel();

 private:
  void on_bytes(std::string_view bytes) override;
  void on_end(const std::string& reason) override;

  void attempt();
  /// The one that this attempt is for.
  [[nodiscard]] const std::string& address() const;
  void resolve();
  void open_socket(std::vector<boost::asio::ip::tcp::endpoint> candidates);
  void begin_handshake();
  void read_verdict(std::string_view frame);
  /// The attempt is over; another one follows while there is time.
  void try_again(const std::string& reason);
  void abandon_attempt();
  void fail(const std::string& reason);

  boost::asio::io_context& context_;
  const Contact contact_;
  const Clock& clock_;
  const Duration connect_;
  const Duration handshake_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer attempt_timer_;
  boost::asio::steady_timer again_timer_;
  std::vector<boost::asio::ip::tcp::endpoint> candidates_;
  std::unique_ptr<TcpStream> stream_;

  Connected connected_;
  Failed failed_;
  bool over_ = false;
  std::size_t tried_ = 0;       // addresses, in vain
  std::uint64_t attempts_ = 0;  // handlers of an earlier one find another number
  TimePoint give_up_at_;
  bool challenged_ = false;
  Nonces nonces_;
  std::string received_;  // of the expected frame
};

}  // namespace troupe::comm::detail
