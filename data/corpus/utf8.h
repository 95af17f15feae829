#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::data {

/// Whether all of `text` is well-formed UTF-8 (RFC 3629: no overlong forms, surrogates or values above
/// U+10FFFF).
[[nodiscard]] bool is_valid_utf8(std::string_view text);

/// Appends a code point; false (and nothing appended) when it is none.
bool append_utf8(std::uint32_t code_point, std::string& out);

/// Whether a byte continues a character.
[[nodiscard]] constexpr bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

}  // namespace troupe::data
