#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "comm/control/messages/messages.h"

namespace troupe::comm {

enum class FrameKind : std::uint8_t {
  kMessage = 1,          // sequence: the message's number, from 1 on
  kAcknowledgement = 2,  // sequence: the last message that was taken in; also the heartbeat
};

/// What travels on an authenticated link: a header of kFrameHeaderBytes (magic "TRP", version 1, kind,
/// 3 zero bytes, payload bytes u32, epoch i64, sequence u64; lowest byte first), then the payload.
struct Frame {
  FrameKind kind = FrameKind::kMessage;
  Epoch epoch = 0;
  std::uint64_t sequence = 0;
  std::string payload;  // a message, see codec.h; empty in an acknowledgement
  bool operator==(const Frame&) const = default;
};

inline constexpr std::size_t kFrameHeaderBytes = 28;
inline constexpr std::size_t kMaxPayloadBytes = std::size_t{64} << 20;

/// Throws kInternal for a payload above kMaxPayloadBytes.
[[nodiscard]] std::string encode_frame(const Frame& frame);

/// Cuts a stream of bytes into frames. Holds no more than it was fed.
class FrameDecoder {
 public:
  void feed(std::string_view bytes);

  /// The next whole frame. Throws Error{kCorrupt} at the first header that is not one: nothing after it can
  /// be trusted, so close the connection.
  [[nodiscard]] std::optional<Frame> next();

  /// A frame has begun and is not whole: bad news if the stream ends here.
  [[nodiscard]] bool in_frame() const { return position_ < buffer_.size(); }

 private:
  std::string buffer_;
  std::size_t position_ = 0;  // of what next() has not taken yet
};

}  // namespace troupe::comm
