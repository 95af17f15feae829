#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "actors/message.h"
#include "comm/control/link/frame.h"

namespace troupe::comm {

/// One end of an authenticated link, without a socket: numbers messages, checks the numbers of the other
/// end's, and keeps account of what it has acknowledged. Bytes go in by feed(), and out by take_output().
/// Both ends do the same. Not thread-safe.
class Channel {
 public:
  /// Messages on their way, or not taken in by the other end, at most.
  static constexpr std::size_t kMaxUnacknowledgedBytes = std::size_t{128} << 20;

  explicit Channel(Epoch epoch, std::size_t max_unacknowledged_bytes = kMaxUnacknowledgedBytes)
      : epoch_(epoch), max_unacknowledged_bytes_(max_unacknowledged_bytes) {}

  [[nodiscard]] Epoch epoch() const { return epoch_; }

  /// Queues a message; kFull when too much is unacknowledged. Throws kInternal above kMaxPayloadBytes.
  [[nodiscard]] actors::Delivery send(std::string payload);
  /// Messages that the other end has not taken in yet.
  [[nodiscard]] std::size_t unacknowledged() const { return unacknowledged_bytes_.size(); }

  /// Queues an acknowledgement of all that was taken in; as such also a sign of life.
  void acknowledge();
  /// Bytes for the other end since the last call.
  [[nodiscard]] std::string take_output();

  /// Bytes from the other end.
  void feed(std::string_view bytes) { decoder_.feed(bytes); }
  /// The next message's payload. Messages of another epoch are dropped. Throws kCorrupt when the other end
  /// breaks the protocol: close the connection.
  [[nodiscard]] std::optional<std::string> next_message();
  /// A message that next_message() gave is in good hands: the next acknowledgement covers it.
  void take_in() { ++taken_in_; }
  /// The stream may not end here.
  [[nodiscard]] bool in_frame() const { return decoder_.in_frame(); }
  /// Messages dropped for their epoch.
  [[nodiscard]] std::int64_t stale_messages() const { return stale_messages_; }

 private:
  void check_acknowledgement(std::uint64_t sequence);

  Epoch epoch_;
  std::size_t max_unacknowledged_bytes_;
  FrameDecoder decoder_;
  std::string output_;
  std::uint64_t last_sent_ = 0;
  std::deque<std::size_t> unacknowledged_bytes_;  // of each message, oldest first
  std::size_t total_unacknowledged_bytes_ = 0;
  std::uint64_t last_received_ = 0;
  std::uint64_t taken_in_ = 0;
  std::int64_t stale_messages_ = 0;
};

}  // namespace troupe::comm
