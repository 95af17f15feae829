#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/index.h"

namespace troupe::comm::detail {

/// Puts the first byte of every block, and the end of the last, into `offsets`: [blocks + 1].
/// Throws kInternal, naming `operation`, when there is not one size per rank, a size is negative, or
/// the blocks do not fill exactly `total` bytes.
void find_block_offsets(std::string_view operation, std::span<const std::int64_t> bytes, int ranks,
                        std::size_t total, std::vector<std::int64_t>& offsets);

/// Block `rank` of `data`.
template <class Byte>
[[nodiscard]] std::span<Byte> block_of(std::span<Byte> data, std::span<const std::int64_t> offsets,
                                       int rank) {
  const auto index = at(rank);
  return data.subspan(at(offsets[index]), at(offsets[index + 1] - offsets[index]));
}

/// Copies blocks of equal size; empty ones may have no address.
void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to);

}  // namespace troupe::comm::detail
