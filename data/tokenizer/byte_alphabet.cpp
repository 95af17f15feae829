#include "data/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

namespace troupe::data {
namespace {

constexpr std::size_t kCharacters = 0x144;  // the last character of the alphabet is U+0143

bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::uint16_t, 256> character_of{};    // by byte
  std::array<std::int16_t, kCharacters> byte_of{};  // by character; -1: not of the alphabet
  std::array<std::uint8_t, 256> order{};

  Alphabet() {
    byte_of.fill(-1);
    std::uint16_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      character_of[byte] = stands_for_itself(byte) ? static_cast<std::uint16_t>(byte) : next++;
      byte_of[character_of[byte]] = static_cast<std::int16_t>(byte);
    }
    std::iota(order.begin(), order.end(), std::uint8_t{0});
    std::sort(order.begin(), order.end(),
              [this](auto a, auto b) { return character_of[a] < character_of[b]; });
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::span<const std::uint8_t, 256> bytes_in_alphabet_order() { return alphabet().order; }

std::string to_alphabet(std::string_view bytes) {
  std::string characters;
  for (const char byte : bytes) {
    const unsigned character = alphabet().character_of[static_cast<unsigned char>(byte)];
    if (character < 0x80) {
      characters += static_cast<char>(character);
    } else {
      characters += static_cast<char>(0xC0 | character >> 6);
      characters += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
  return characters;
}

std::optional<std::string> from_alphabet(std::string_view characters) {
  std::string bytes;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    unsigned character = static_cast<unsigned char>(characters[i]);
    if (character >= 0x80) {  // every character beyond ASCII takes two bytes
      if ((character & 0xE0) != 0xC0 || ++i == characters.size()) return std::nullopt;
      const unsigned second = static_cast<unsigned char>(characters[i]);
      if ((second & 0xC0) != 0x80) return std::nullopt;
      character = (character & 0x1F) << 6 | (second & 0x3F);
    }
    if (character >= kCharacters || alphabet().byte_of[character] < 0) return std::nullopt;
    bytes += static_cast<char>(alphabet().byte_of[character]);
  }
  return bytes;
}

}  // namespace troupe::data
