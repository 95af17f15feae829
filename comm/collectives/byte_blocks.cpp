#include "comm/collectives/byte_blocks.h"

#include <cstring>
#include <limits>

#include "base/error.h"

namespace troupe::comm::detail {

std::vector<std::int64_t> block_offsets(std::string_view operation, std::span<const std::int64_t> bytes,
                                        int ranks, std::size_t total) {
  TROUPE_CHECK(bytes.size() == static_cast<std::size_t>(ranks), "{}: {} block sizes for {} ranks", operation,
               bytes.size(), ranks);
  std::vector<std::int64_t> offsets{0};
  for (const std::int64_t size : bytes) {
    TROUPE_CHECK(size >= 0 && size <= std::numeric_limits<std::int64_t>::max() - offsets.back(),
                 "{}: a block of {} bytes", operation, size);
    offsets.push_back(offsets.back() + size);
  }
  TROUPE_CHECK(static_cast<std::size_t>(offsets.back()) == total, "{}: blocks of {} bytes in a buffer of {}",
               operation, offsets.back(), total);
  return offsets;
}

void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  TROUPE_CHECK(from.size() == to.size(), "copy of {} bytes into {}", from.size(), to.size());
  if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
}

}  // namespace troupe::comm::detail
