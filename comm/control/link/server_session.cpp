#include "comm/control/link/server_session.h"

#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "comm/control/messages/codec.h"

namespace troupe::comm::detail {

using actors::Delivery;

namespace {
constexpr std::size_t kReadBytes = 64 << 10;
constexpr std::int64_t kLoggedRefusals = 20;  // strangers cannot fill the log
}  // namespace

ServerSession::ServerSession(ConnectionId id, TcpStream& stream, std::string peer, ServerState& state)
    : id_(id), stream_(stream), peer_(std::move(peer)), state_(state), started_(state.clock.now()) {
  nonces_.server = make_secret();
  stream_.write(make_challenge(nonces_.server));
  stream_.read(kAnswerBytes);
  ++state_.pending_connections;
}

void ServerSession::enter(Phase phase) {
  if (is_pending()) --state_.pending_connections;
  phase_ = phase;
}

void ServerSession::on_bytes(std::string_view bytes) {
  try {
    if (phase_ == Phase::kPending) return authenticate(bytes);
    if (phase_ == Phase::kRefused) return abandon("it goes on after it was refused");
    last_heard_ = state_.clock.now();
    channel_->feed(bytes);
    take_messages();
  } catch (const std::exception& error) {
    abandon(error.what());
  }
}

void ServerSession::authenticate(std::string_view bytes) {
  answer_ += bytes;
  if (answer_.size() < kAnswerBytes) return stream_.read(kAnswerBytes - answer_.size());
  const Epoch epoch = check_answer(state_.secret, nonces_, answer_);
  const bool welcome = epoch == state_.epoch;
  stream_.write(make_verdict(state_.secret, nonces_, {welcome, state_.epoch}));
  if (welcome) return open(epoch);
  // It knows the secret, but belongs to a job that is over: it learns that instead of trying again.
  log::info("control link: {} comes from epoch {}, now is {}: refused", peer_, epoch, state_.epoch);
  enter(Phase::kRefused);
  farewell_until_ = state_.clock.now() + state_.farewell;
  stream_.finish_writing();
  stream_.read(1);
}

void ServerSession::open(Epoch epoch) {
  enter(Phase::kOpen);
  last_heard_ = state_.clock.now();
  channel_.emplace(epoch, state_.unacknowledged_bytes);
  events_.push(WorkerConnected{id_, epoch, peer_});
  take_messages();
}

void ServerSession::take_messages() {
  while (flush_events()) {
    if (next_event()) continue;
    if (!stream_.is_reading()) stream_.read(kReadBytes);
    break;
  }
  flush();
}

bool ServerSession::next_event() {
  const std::int64_t stale_before = channel_->stale_messages();
  const std::optional<std::string> payload = channel_->next_message();
  state_.stale_messages += channel_->stale_messages() - stale_before;
  if (!payload) return false;
  WorkerMessage message = decode_worker_message(*payload);
  if (channel_->epoch() == state_.epoch) {
    events_.push(WorkerMessageArrived{id_, channel_->epoch(), std::move(message)});
  } else {
    ++state_.stale_messages;
  }
  return true;
}

bool ServerSession::flush_events() {
  bool took_in = false;
  const bool all = events_.flush(state_.events, [&](const ServerEvent& event, Delivery delivery) {
    if (delivery != Delivery::kDelivered || !std::holds_alternative<WorkerMessageArrived>(event)) return;
    channel_->take_in();
    took_in = true;
  });
  if (took_in) channel_->acknowledge();
  return all;
}

bool ServerSession::pump() {
  if (phase_ == Phase::kPending || phase_ == Phase::kRefused || events_.empty()) return true;
  try {
    if (phase_ == Phase::kOver) return flush_events();
    take_messages();
  } catch (const std::exception& error) {
    abandon(error.what());
  }
  return events_.empty();
}

Delivery ServerSession::send(std::string payload) {
  return phase_ == Phase::kOpen ? channel_->send(std::move(payload)) : Delivery::kDead;
}

void ServerSession::flush() {
  if (channel_ && phase_ != Phase::kOver) stream_.write(channel_->take_output());
}

void ServerSession::close() {
  if (phase_ != Phase::kOpen) return;
  flush();
  enter(Phase::kClosing);
  farewell_until_ = state_.clock.now() + state_.farewell;
  stream_.finish_writing();
}

void ServerSession::beat() {
  const bool leaving = phase_ == Phase::kClosing || phase_ == Phase::kRefused;
  if (leaving && state_.clock.now() > farewell_until_) return abandon("closed by the coordinator");
  if (phase_ != Phase::kOpen || stream_.is_writing()) return;
  channel_->acknowledge();
  flush();
}

void ServerSession::on_end(const std::string& reason) {
  if (!is_connected()) return end(reason);
  try {
    // What it said before it left still counts: often it is the reason.
    while (next_event()) {
    }
  } catch (const std::exception& error) {
    return end(error.what());
  }
  if (phase_ == Phase::kClosing) return end("closed by the coordinator");
  end(channel_->in_frame() ? reason + " in the middle of a message" : reason);
}

void ServerSession::abandon(const std::string& reason) {
  if (phase_ == Phase::kPending && ++state_.refused_connections <= kLoggedRefusals) {
    log::warn("control link: {} is not let in: {}", peer_, reason);
  }
  stream_.close();
  end(reason);
}

void ServerSession::end(const std::string& reason) {
  const bool was_connected = is_connected();
  enter(Phase::kOver);
  if (!was_connected) return;
  events_.push(WorkerDisconnected{id_, channel_->epoch(), reason});
  (void)flush_events();
}

}  // namespace troupe::comm::detail
