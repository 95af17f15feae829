#include "comm/control/tcp/tcp_connector.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <utility>

#include "base/error.h"

namespace troupe::comm::detail {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr Duration kConnectAgain = std::chrono::milliseconds(100);
constexpr Duration kShortestAttempt = std::chrono::seconds(1);

/// Addresses that answer nothing must not use up the time of those behind them.
Duration attempt_limit(Duration all, std::size_t addresses) {
  return std::max(all / static_cast<int>(addresses), std::min(all, kShortestAttempt));
}

}  // namespace

TcpConnector::TcpConnector(asio::io_context& context, const Contact& contact, const Clock& clock,
                           Duration connect, Duration handshake)
    : context_(context),
      contact_(contact),
      clock_(clock),
      connect_(connect),
      handshake_(attempt_limit(handshake, contact.addresses.size())),
      resolver_(context),
      socket_(context),
      attempt_timer_(context),
      again_timer_(context) {}

void TcpConnector::start(Connected connected, Failed failed) {
  if (over_) return;
  connected_ = std::move(connected);
  failed_ = std::move(failed);
  give_up_at_ = clock_.now() + connect_;
  attempt();
}

void TcpConnector::cancel() {
  over_ = true;
  abandon_attempt();
  error_code ignored;  // there may be nothing to cancel
  again_timer_.cancel(ignored);
}

void TcpConnector::attempt() {
  const std::uint64_t number = ++attempts_;
  attempt_timer_.expires_after(handshake_);
  attempt_timer_.async_wait([this, number](const error_code&) {
    if (number == attempts_) try_again("the coordinator does not answer");
  });
  resolve();
}

const std::string& TcpConnector::address() const {
  return contact_.addresses[tried_ % contact_.addresses.size()];
}

void TcpConnector::resolve() {
  error_code not_numeric;
  const auto numeric = asio::ip::make_address(address(), not_numeric);
  if (!not_numeric) return open_socket({tcp::endpoint(numeric, contact_.port)});
  resolver_.async_resolve(
      address(), std::to_string(contact_.port),
      [this, number = attempts_](const error_code& error, const tcp::resolver::results_type& found) {
        if (number != attempts_) return;
        if (error) return try_again(error.message());
        open_socket({found.begin(), found.end()});
      });
}

void TcpConnector::open_socket(std::vector<tcp::endpoint> candidates) {
  candidates_ = std::move(candidates);
  socket_ = tcp::socket(context_);
  asio::async_connect(socket_, candidates_,
                      [this, number = attempts_](const error_code& error, const tcp::endpoint&) {
                        if (number != attempts_) return;
                        if (error) return try_again(error.message());
                        begin_handshake();
                      });
}

void TcpConnector::begin_handshake() {
  if (stream_ && !stream_->is_idle()) return try_again("the last attempt is not over");
  received_.clear();
  challenged_ = false;
  try {
    stream_ = std::make_unique<TcpStream>(std::move(socket_), *this);
  } catch (const Error& error) {
    return try_again(error.what());
  }
  stream_->read(kChallengeBytes);
}

void TcpConnector::on_bytes(std::string_view bytes) {
  received_ += bytes;
  const std::size_t wanted = challenged_ ? kVerdictBytes : kChallengeBytes;
  if (received_.size() < wanted) return stream_->read(wanted - received_.size());
  const std::string frame = std::exchange(received_, {});
  try {
    if (challenged_) return read_verdict(frame);
    nonces_ = {read_challenge(frame), make_secret()};
    challenged_ = true;
    stream_->write(make_answer(contact_.secret, nonces_, contact_.epoch));
    stream_->read(kVerdictBytes);
  } catch (const Error& error) {
    fail(error.what());
  }
}

void TcpConnector::read_verdict(std::string_view frame) {
  const Verdict verdict = check_verdict(contact_.secret, nonces_, frame);
  if (!verdict.welcome) {
    return fail(
        fmt::format("this worker's epoch {} is over; the run is at {}", contact_.epoch, verdict.epoch));
  }
  over_ = true;
  ++attempts_;
  error_code ignored;  // it may have fired already
  attempt_timer_.cancel(ignored);
  connected_(std::move(stream_));
}

void TcpConnector::on_end(const std::string& reason) {
  try_again(reason + " during the handshake; another run's secret, or a busy coordinator");
}

void TcpConnector::try_again(const std::string& reason) {
  abandon_attempt();
  if (over_) return;
  if (clock_.now() >= give_up_at_) {
    return fail(fmt::format("no coordinator lets this worker in at {}:{}: {}",
                            fmt::join(contact_.addresses, ", "), contact_.port, reason));
  }
  ++tried_;
  again_timer_.expires_after(kConnectAgain);
  again_timer_.async_wait([this](const error_code&) {
    if (!over_) attempt();
  });
}

void TcpConnector::abandon_attempt() {
  ++attempts_;
  error_code ignored;  // there may be nothing to cancel
  attempt_timer_.cancel(ignored);
  resolver_.cancel();
  socket_.close(ignored);
  if (stream_) stream_->close();
}

void TcpConnector::fail(const std::string& reason) {
  if (over_) return;
  cancel();
  failed_(reason);
}

}  // namespace troupe::comm::detail
