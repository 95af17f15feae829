#include "comm/collectives/byte_blocks.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/index.h"

namespace troupe::comm::detail {
namespace {

// The C library moves megabytes past the cache; but what arrives here is what is computed on next, and in
// pieces the copy takes two thirds of the time.
constexpr std::size_t kCopiedAtOnce = std::size_t{128} << 10;

}  // namespace

void find_block_offsets(std::string_view operation, std::span<const std::int64_t> bytes, int ranks,
                        std::size_t total, std::vector<std::int64_t>& offsets) {
  TROUPE_CHECK(bytes.size() == at(ranks), "{}: {} block sizes for {} ranks", operation, bytes.size(), ranks);
  offsets.assign(1, 0);
  for (const std::int64_t size : bytes) {
    TROUPE_CHECK(size >= 0 && size <= std::numeric_limits<std::int64_t>::max() - offsets.back(),
                 "{}: a block of {} bytes", operation, size);
    offsets.push_back(offsets.back() + size);
  }
  TROUPE_CHECK(at(offsets.back()) == total, "{}: blocks of {} bytes in a buffer of {}", operation,
               offsets.back(), total);
}

void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  TROUPE_CHECK(from.size() == to.size(), "copy of {} bytes into {}", from.size(), to.size());
  for (std::size_t begin = 0; begin < from.size(); begin += kCopiedAtOnce)
    std::memcpy(to.data() + begin, from.data() + begin, std::min(kCopiedAtOnce, from.size() - begin));
}

}  // namespace troupe::comm::detail
