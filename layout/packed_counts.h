#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::layout {

/// Counts as text that takes about the bits by which they differ, for files with a line per step:
///   "<how many>,<least>,<bits of each>,<payload>"
/// The payload is base64 (RFC 4648, padded) of the counts less the least one, each of so many bits, the first
/// in the lowest bits of the first byte. Four counts 6, 2, 0, 0: "4,0,3,FgA=".
[[nodiscard]] std::string pack_counts(std::span<const std::int64_t> counts);

/// Throws kCorrupt where the text is not what pack_counts() writes.
[[nodiscard]] std::vector<std::int64_t> unpack_counts(std::string_view text);

}  // namespace troupe::layout
