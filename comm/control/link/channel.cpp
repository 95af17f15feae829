#include "comm/control/link/channel.h"

#include <utility>

#include "base/error.h"

namespace troupe::comm {

actors::Delivery Channel::send(std::string payload) {
  const std::size_t bytes = payload.size();
  if (total_unacknowledged_bytes_ + bytes > max_unacknowledged_bytes_) return actors::Delivery::kFull;
  output_ += encode_frame({FrameKind::kMessage, epoch_, last_sent_ + 1, std::move(payload)});
  ++last_sent_;
  unacknowledged_bytes_.push_back(bytes);
  total_unacknowledged_bytes_ += bytes;
  return actors::Delivery::kDelivered;
}

void Channel::acknowledge() { output_ += encode_frame({FrameKind::kAcknowledgement, epoch_, taken_in_, {}}); }

std::string Channel::take_output() { return std::exchange(output_, {}); }

std::optional<std::string> Channel::next_message() {
  while (std::optional<Frame> frame = decoder_.next()) {
    if (frame->epoch != epoch_) {
      stale_messages_ += frame->kind == FrameKind::kMessage ? 1 : 0;
    } else if (frame->kind == FrameKind::kAcknowledgement) {
      check_acknowledgement(frame->sequence);
    } else if (frame->sequence == last_received_ + 1) {
      ++last_received_;
      return std::move(frame->payload);
    } else {
      throw Error(ErrorCode::kCorrupt, "control link: message {} follows message {}", frame->sequence,
                  last_received_);
    }
  }
  return std::nullopt;
}

void Channel::check_acknowledgement(std::uint64_t sequence) {
  const std::uint64_t oldest = last_sent_ - unacknowledged_bytes_.size();
  if (sequence < oldest || sequence > last_sent_) {
    throw Error(ErrorCode::kCorrupt,
                "control link: message {} is acknowledged, but {} to {} are on their way", sequence,
                oldest + 1, last_sent_);
  }
  for (std::uint64_t i = oldest; i < sequence; ++i) {
    total_unacknowledged_bytes_ -= unacknowledged_bytes_.front();
    unacknowledged_bytes_.pop_front();
  }
}

}  // namespace troupe::comm
