#include "comm/control/link/frame.h"

#include "base/error.h"
#include "comm/control/link/bytes.h"

namespace troupe::comm {

namespace {

constexpr std::string_view kMagic("TRP\x01", 4);
constexpr std::size_t kKindOffset = 4;
constexpr std::size_t kZeroOffset = 5;
constexpr std::size_t kLengthOffset = 8;
constexpr std::size_t kEpochOffset = 12;
constexpr std::size_t kSequenceOffset = 20;
constexpr std::string_view kZeros("\0\0\0", 3);

[[noreturn]] void refuse(const char* what) {
  throw Error(ErrorCode::kCorrupt, "control link: {}; the other end is not Troupe, or of another version",
              what);
}

/// The header's frame without payload, and the payload's length.
std::size_t read_header(std::string_view header, Frame& frame) {
  if (header.substr(0, kMagic.size()) != kMagic) refuse("a frame without its magic number");
  if (header.substr(kZeroOffset, kZeros.size()) != kZeros)
    refuse("a frame header that is not zero where it must be");
  frame.kind = static_cast<FrameKind>(header[kKindOffset]);
  if (frame.kind != FrameKind::kMessage && frame.kind != FrameKind::kAcknowledgement) {
    refuse("a frame of unknown kind");
  }
  frame.epoch = static_cast<Epoch>(detail::get<std::uint64_t>(header, kEpochOffset));
  frame.sequence = detail::get<std::uint64_t>(header, kSequenceOffset);
  const std::size_t length = detail::get<std::uint32_t>(header, kLengthOffset);
  if (length > kMaxPayloadBytes) refuse("a frame above the length limit");
  if (frame.kind == FrameKind::kAcknowledgement && length > 0) refuse("an acknowledgement with a payload");
  return length;
}

}  // namespace

std::string encode_frame(const Frame& frame) {
  TROUPE_CHECK(frame.payload.size() <= kMaxPayloadBytes,
               "a control message of {} bytes exceeds the limit of {}", frame.payload.size(),
               kMaxPayloadBytes);
  std::string bytes(kMagic);
  bytes.reserve(kFrameHeaderBytes + frame.payload.size());
  bytes += static_cast<char>(frame.kind);
  bytes += kZeros;
  detail::put(bytes, static_cast<std::uint32_t>(frame.payload.size()));
  detail::put(bytes, static_cast<std::uint64_t>(frame.epoch));
  detail::put(bytes, frame.sequence);
  bytes += frame.payload;
  return bytes;
}

void FrameDecoder::feed(std::string_view bytes) {
  buffer_.erase(0, position_);
  position_ = 0;
  buffer_ += bytes;
}

std::optional<Frame> FrameDecoder::next() {
  const std::string_view rest = std::string_view(buffer_).substr(position_);
  if (rest.size() < kFrameHeaderBytes) return std::nullopt;
  Frame frame;
  const std::size_t length = read_header(rest, frame);
  if (rest.size() - kFrameHeaderBytes < length) return std::nullopt;
  frame.payload = rest.substr(kFrameHeaderBytes, length);
  position_ += kFrameHeaderBytes + length;
  return frame;
}

}  // namespace troupe::comm
