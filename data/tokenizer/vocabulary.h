#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::data {

using TokenId = std::int32_t;

inline constexpr std::string_view kEndOfText = "<|endoftext|>";

/// `left` followed by `right` becomes `result`, whose bytes are those of both. Its rank is its index.
struct Merge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
  bool operator==(const Merge&) const = default;
};

/// A token that stands for no text, known by its name.
struct SpecialToken {
  TokenId id = 0;
  std::string name;
  bool operator==(const SpecialToken&) const = default;
};

/// Everything that a byte-level BPE tokenizer is: what is trained, stored and hashed.
struct Vocabulary {
  std::vector<std::string> tokens;     // bytes by token id; empty for special tokens
  std::vector<Merge> merges;           // by rank: lower ranks merge first
  std::vector<SpecialToken> specials;  // by ascending id
  bool operator==(const Vocabulary&) const = default;
};

/// Throws Error{kCorrupt} naming the token or merge, unless: all 256 bytes are tokens; tokens are
/// distinct; only special ones are empty; each merge joins two ordinary tokens to one that has
/// their bytes; no pair merges twice; `<|endoftext|>` is special.
void check_vocabulary(const Vocabulary& vocabulary);

/// 32 hexadecimal digits (XXH3, 128 bits) of the content and of the pre-tokenizer's pattern.
[[nodiscard]] std::string hash_vocabulary(const Vocabulary& vocabulary);

}  // namespace troupe::data
