#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe::data {

/// GPT-2's byte-level alphabet: each byte stands as one printable character in tokenizer.json
/// (bytes that are printable in Latin-1 as themselves, the other 68 as U+0100, U+0101, …).

/// The 256 bytes in the order of their characters: the order in which GPT-2 numbers them.
[[nodiscard]] std::span<const std::uint8_t, 256> bytes_in_alphabet_order();

/// Bytes → UTF-8 text of their characters.
[[nodiscard]] std::string to_alphabet(std::string_view bytes);

/// The inverse; empty when a character is not of the alphabet.
[[nodiscard]] std::optional<std::string> from_alphabet(std::string_view characters);

}  // namespace troupe::data
