#include "comm/control/tcp/tcp_client.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "comm/control/link/channel.h"
#include "comm/control/link/event_queue.h"
#include "comm/control/link/silence.h"
#include "comm/control/messages/codec.h"
#include "comm/control/tcp/tcp_connector.h"

namespace troupe::comm {

namespace asio = boost::asio;
using actors::Delivery;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace {

constexpr Duration kRetry = 10ms;         // while a mailbox is full
constexpr Duration kLongestBeat = 500ms;  // deadlines are looked at once per beat
constexpr std::size_t kReadBytes = 64 << 10;

Duration beat_interval(const ControlOptions& options) {
  const auto heartbeat =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.heartbeat_seconds));
  return std::min(heartbeat, kLongestBeat);
}

}  // namespace

/// The thread runs all handlers; each takes the mutex, as every public function does.
class TcpControlClient::Implementation final : public detail::TcpStreamOwner {
 public:
  Implementation(const Contact& contact, const ControlOptions& options, const Clock& clock,
                 const TcpClientLimits& limits)
      : clock_(clock),
        limits_(limits),
        beat_interval_(beat_interval(options)),
        silence_(limits.silence, beat_interval_),
        connector_(context_, contact, clock, limits.connect, limits.handshake),
        channel_(contact.epoch) {}

  ~Implementation() override {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  void start(actors::Address<ClientEvents> events) {
    const std::lock_guard lock(mutex_);
    TROUPE_CHECK(!thread_.joinable(), "the control client was started before");
    mailbox_ = std::move(events);
    asio::post(context_, [this] { connect(); });
    beat_later();
    thread_ = std::thread([this] { context_.run(); });
  }

  Delivery send(const WorkerMessage& message) {
    std::string payload = encode(message);
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kOver || finishing_) return Delivery::kDead;
    const Delivery delivery = channel_.send(std::move(payload));
    if (delivery == Delivery::kDelivered) post_flush();
    return delivery;
  }

  std::size_t unacknowledged() const {
    const std::lock_guard lock(mutex_);
    return channel_.unacknowledged();
  }

  bool wait_until_acknowledged(Duration limit) {
    std::unique_lock lock(mutex_);
    acknowledged_.wait_for(lock, limit,
                           [this] { return channel_.unacknowledged() == 0 || phase_ == Phase::kOver; });
    return channel_.unacknowledged() == 0;
  }

  void finish() {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
    post_flush();
  }

 private:
  enum class Phase { kConnecting, kOpen, kLeaving, kOver };

  // ---- what connector and stream report ------------------------------------------------------

  void connect() {
    connector_.start(
        [this](std::unique_ptr<detail::TcpStream> stream) {
          const std::lock_guard lock(mutex_);
          open(std::move(stream));
        },
        [this](const std::string& reason) {
          const std::lock_guard lock(mutex_);
          lose(reason);
        });
  }

  void open(std::unique_ptr<detail::TcpStream> stream) {
    stream_ = std::move(stream);
    stream_->set_owner(*this);
    phase_ = Phase::kOpen;
    silence_.heard(clock_.now());
    events_.push(CoordinatorConnected{});
    take_messages();
  }

  void on_bytes(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    try {
      silence_.heard(clock_.now());
      channel_.feed(bytes);
      take_messages();
    } catch (const std::exception& error) {
      lose(error.what());
    }
  }

  void on_end(const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kLeaving) return end(LinkFinished{});
    take_the_rest();
    lose(channel_.in_frame() ? reason + " in the middle of a message" : reason);
  }

  // ---- messages --------------------------------------------------------------------------------

  void take_messages() {
    while (flush_events()) {
      if (next_event()) continue;
      if (!stream_->is_reading()) stream_->read(kReadBytes);
      break;
    }
    if (channel_.unacknowledged() == 0) acknowledged_.notify_all();
    flush();
  }

  bool next_event() {
    const std::optional<std::string> payload = channel_.next_message();
    if (!payload) return false;
    events_.push(CoordinatorMessageArrived{channel_.epoch(), decode_coordinator_message(*payload)});
    return true;
  }

  /// After the stream's end: what had arrived whole before still counts.
  void take_the_rest() {
    try {
      while (next_event()) {
      }
    } catch (const Error& error) {
      lose(error.what());
    }
  }

  bool flush_events() {
    bool took_in = false;
    const bool all = events_.flush(mailbox_, [&](const detail::ClientEvent& event, Delivery delivery) {
      if (delivery != Delivery::kDelivered || !std::holds_alternative<CoordinatorMessageArrived>(event))
        return;
      channel_.take_in();
      took_in = true;
    });
    if (took_in) channel_.acknowledge();
    if (!all) retry_later();
    return all;
  }

  void retry_later() {
    if (std::exchange(retrying_, true)) return;
    retry_timer_.expires_after(kRetry);
    retry_timer_.async_wait([this](const error_code&) {
      const std::lock_guard lock(mutex_);
      retrying_ = false;
      try {
        if (phase_ == Phase::kOpen || phase_ == Phase::kLeaving) return take_messages();
      } catch (const std::exception& error) {
        return lose(error.what());
      }
      (void)flush_events();
    });
  }

  void post_flush() {
    asio::post(context_, [this] {
      const std::lock_guard lock(mutex_);
      flush();
    });
  }

  /// Sends what is queued; leaves when nothing more will be.
  void flush() {
    if (phase_ == Phase::kOpen) stream_->write(channel_.take_output());
    if (!finishing_ || channel_.unacknowledged() > 0) return;
    if (phase_ == Phase::kOpen) {
      phase_ = Phase::kLeaving;
      leave_until_ = clock_.now() + limits_.farewell;
      stream_->finish_writing();
    } else if (phase_ != Phase::kLeaving) {
      end(LinkFinished{});
    }
  }

  // ---- time and the end ------------------------------------------------------------------------

  void beat_later() {
    beat_timer_.expires_after(beat_interval_);
    beat_timer_.async_wait([this](const error_code&) {
      const std::lock_guard lock(mutex_);
      beat();
      if (phase_ != Phase::kOver) beat_later();
    });
  }

  void beat() {
    const TimePoint now = clock_.now();
    const bool silent = silence_.is_silent(now);
    if (phase_ == Phase::kLeaving && now > leave_until_) return end(LinkFinished{});
    if (phase_ == Phase::kOpen && silent) {
      return lose(fmt::format("the coordinator is silent for {} s", seconds(limits_.silence)));
    }
    if (phase_ != Phase::kOpen || stream_->is_writing()) return;
    channel_.acknowledge();
    flush();
  }

  void lose(const std::string& reason) { end(CoordinatorLost{reason}); }

  void end(detail::ClientEvent last_event) {
    if (std::exchange(phase_, Phase::kOver) == Phase::kOver) return;
    connector_.cancel();
    if (stream_) stream_->close();
    events_.push(std::move(last_event));
    (void)flush_events();
    acknowledged_.notify_all();
  }

  const Clock& clock_;
  const TcpClientLimits limits_;
  const Duration beat_interval_;

  mutable std::mutex mutex_;
  std::condition_variable acknowledged_;
  asio::io_context context_{1};
  asio::steady_timer beat_timer_{context_};
  asio::steady_timer retry_timer_{context_};
  bool retrying_ = false;
  std::unique_ptr<detail::TcpStream> stream_;

  Phase phase_ = Phase::kConnecting;
  bool finishing_ = false;
  TimePoint leave_until_;
  SilenceDetector silence_;
  detail::TcpConnector connector_;
  Channel channel_;
  detail::EventQueue<ClientEvents> events_;
  actors::Address<ClientEvents> mailbox_;
  std::thread thread_;
};

TcpControlClient::TcpControlClient(const Contact& contact, const ControlOptions& options, const Clock& clock,
                                   const TcpClientLimits& limits)
    : implementation_(std::make_unique<Implementation>(contact, options, clock, limits)) {}

TcpControlClient::~TcpControlClient() = default;

void TcpControlClient::start(actors::Address<ClientEvents> events) {
  implementation_->start(std::move(events));
}

actors::Delivery TcpControlClient::send(const WorkerMessage& message) {
  return implementation_->send(message);
}

std::size_t TcpControlClient::unacknowledged() const { return implementation_->unacknowledged(); }

bool TcpControlClient::wait_until_acknowledged(Duration limit) {
  return implementation_->wait_until_acknowledged(limit);
}

void TcpControlClient::finish() { implementation_->finish(); }

}  // namespace troupe::comm
