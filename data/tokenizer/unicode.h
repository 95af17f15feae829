#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace troupe::data {

/// What the pre-tokenizer's pattern tells apart. Unicode 14.0 (unicode_classes.inc).
enum class CharacterClass : std::uint8_t {
  kOther,   // everything else: punctuation, marks, symbols, controls, unassigned, invalid bytes
  kLetter,  // \p{L}
  kNumber,  // \p{N}
  kSpace,   // White_Space
};

/// One character of a text: its class, and how many bytes it takes.
struct Character {
  CharacterClass kind = CharacterClass::kOther;
  std::uint8_t bytes = 1;
};

/// Reads characters of UTF-8 text; cheap to make.
class CharacterReader {
 public:
  CharacterReader();

  /// The character that begins at `position` < text.size(). A byte that begins no well-formed UTF-8
  /// sequence (Unicode, table 3-7: no overlong forms, no surrogates, at most U+10FFFF) is a
  /// character of its own, class kOther.
  [[nodiscard]] Character at(std::string_view text, std::size_t position) const {
    const auto byte = static_cast<unsigned char>(text[position]);
    if (byte < 0x80) return {classes_[byte], 1};
    return wide_at(text, position);
  }

 private:
  [[nodiscard]] Character wide_at(std::string_view text, std::size_t position) const;

  const CharacterClass* classes_;  // by code point, up to the last classified one
  std::size_t class_count_;
};

}  // namespace troupe::data
