#include "base/utf8.h"

#include <algorithm>

#include "base/index.h"

namespace troupe {
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

bool is_code_point(std::uint32_t value) { return value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF); }

}  // namespace

std::size_t utf8_character_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const LeadByte lead = lead_byte(static_cast<unsigned char>(text[0]));
  if (lead.bytes == 0 || lead.bytes > text.size()) return 0;
  std::uint32_t code_point = lead.bits;
  for (std::size_t i = 1; i < lead.bytes; ++i) {
    if (!is_utf8_continuation(text[i])) return 0;
    code_point = (code_point << 6) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  return code_point >= lead.minimum && is_code_point(code_point) ? lead.bytes : 0;
}

bool is_utf8(std::string_view text) {
  // Most texts are ASCII to their end, and this is how control messages of thousands of workers are read.
  const auto is_ascii = [](char character) { return static_cast<unsigned char>(character) < 0x80; };
  text.remove_prefix(at(std::ranges::find_if_not(text, is_ascii) - text.begin()));
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

bool append_utf8(std::uint32_t code_point, std::string& out) {
  if (!is_code_point(code_point)) return false;
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += {static_cast<char>(0xC0 | (code_point >> 6)), tail(0)};
  } else if (code_point < 0x10000) {
    out += {static_cast<char>(0xE0 | (code_point >> 12)), tail(6), tail(0)};
  } else {
    out += {static_cast<char>(0xF0 | (code_point >> 18)), tail(12), tail(6), tail(0)};
  }
  return true;
}

}  // namespace troupe
