#pragma once
#include <cstdint>

namespace troupe::comm {

/// What one rank sends to others; what it sends to itself is none of it. An empty block is a message, too.
struct Traffic {
  std::int64_t messages = 0;
  std::int64_t bytes = 0;

  Traffic& operator+=(const Traffic& other) {
    messages += other.messages;
    bytes += other.bytes;
    return *this;
  }
  bool operator==(const Traffic&) const = default;
};

}  // namespace troupe::comm
