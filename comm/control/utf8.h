#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace troupe::comm::detail {

/// Bytes of the UTF-8 character (RFC 3629) that `text` begins with; 0 if it begins with none.
[[nodiscard]] std::size_t utf8_character_bytes(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);

/// The text with U+FFFD in place of each byte that belongs to no character.
[[nodiscard]] std::string to_utf8(std::string_view text);

}  // namespace troupe::comm::detail
