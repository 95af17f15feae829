#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// UTF-8 as in RFC 3629: no overlong forms, surrogates or values above U+10FFFF.
namespace troupe {

/// Bytes of the character that `text` begins with; 0 if it begins with none.
[[nodiscard]] std::size_t utf8_character_bytes(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);

/// The text with U+FFFD in place of each byte that belongs to no character.
[[nodiscard]] std::string to_utf8(std::string_view text);

/// Appends a code point; false (and nothing appended) when it is none.
bool append_utf8(std::uint32_t code_point, std::string& out);

/// Whether a byte continues a character.
[[nodiscard]] constexpr bool is_utf8_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

}  // namespace troupe
