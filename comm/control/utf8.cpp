#include "comm/control/utf8.h"

#include <algorithm>
#include <cstdint>

namespace troupe::comm::detail {

namespace {

struct LeadByte {
  std::size_t bytes = 0;
  std::uint32_t bits = 0;     // of the code point
  std::uint32_t minimum = 0;  // code points below have a shorter form
};

LeadByte lead_byte(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if ((byte & 0xE0) == 0xC0) return {2, byte & 0x1FU, 0x80};
  if ((byte & 0xF0) == 0xE0) return {3, byte & 0x0FU, 0x800};
  if ((byte & 0xF8) == 0xF0) return {4, byte & 0x07U, 0x10000};
  return {};
}

}  // namespace

std::size_t utf8_character_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const LeadByte lead = lead_byte(static_cast<unsigned char>(text[0]));
  if (lead.bytes == 0 || lead.bytes > text.size()) return 0;
  std::uint32_t code_point = lead.bits;
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return 0;
    code_point = (code_point << 6) | (byte & 0x3FU);
  }
  const bool is_surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < lead.minimum || code_point > 0x10FFFF || is_surrogate) return 0;
  return lead.bytes;
}

bool is_utf8(std::string_view text) {
  const auto is_ascii = [](char character) { return static_cast<unsigned char>(character) < 0x80; };
  text.remove_prefix(static_cast<std::size_t>(std::ranges::find_if_not(text, is_ascii) - text.begin()));
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string to_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t bytes = utf8_character_bytes(text);
    valid += bytes > 0 ? text.substr(0, bytes) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(bytes > 0 ? bytes : 1);
  }
  return valid;
}

}  // namespace troupe::comm::detail
