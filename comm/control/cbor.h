#pragma once
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace troupe::comm::detail {

inline constexpr std::size_t kMaxCborDepth = 32;
inline constexpr std::size_t kMaxCborElements = 4'000'000;

/// Parses one CBOR value (RFC 8949) from outside, and nothing behind it. Throws Error{kCorrupt}, before
/// anything is allocated, for deeper nesting or more elements than the limits, lengths beyond the end,
/// text that is not UTF-8, and what no message contains: indefinite lengths, tags, byte strings, undefined.
[[nodiscard]] nlohmann::json parse_cbor(std::string_view bytes);

}  // namespace troupe::comm::detail
