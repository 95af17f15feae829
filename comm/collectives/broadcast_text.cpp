#include "comm/collectives/broadcast_text.h"

#include "base/error.h"
#include "base/index.h"

namespace troupe::comm {

namespace {
constexpr std::int64_t kMaximumBytes = std::int64_t{64} << 20;
}

std::string broadcast_text(Communicator& communicator, std::string_view text, int root) {
  auto bytes = static_cast<std::int64_t>(text.size());
  communicator.broadcast(std::as_writable_bytes(std::span(&bytes, 1)), root);
  TROUPE_CHECK(bytes >= 0 && bytes <= kMaximumBytes, "broadcast of a text of {} bytes", bytes);
  std::string received(at(bytes), '\0');
  if (communicator.rank() == root) received.assign(text);
  communicator.broadcast(std::as_writable_bytes(std::span(received)), root);
  return received;
}

}  // namespace troupe::comm
