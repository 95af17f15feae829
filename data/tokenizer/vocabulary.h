#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/splitter.h"

namespace troupe::data {

using TokenId = std::int32_t;

inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // "▁", U+2581

/// `left` followed by `right` becomes `result`, whose bytes are those of both. Its rank is its index.
struct Merge {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
  bool operator==(const Merge&) const = default;
};

/// A token that is known by its name and found in text as a whole, before anything else is done to the text.
/// A special one stands for no text; another for its name.
struct SpecialToken {
  TokenId id = 0;
  std::string name;
  bool special = true;
  bool left_strip = false;   // takes the spaces before it with it
  bool right_strip = false;  // and those after it
  bool single_word = false;  // only where no letter, digit or '_' touches it
  bool normalized = false;   // looked for after the text was normalised
  bool operator==(const SpecialToken&) const = default;
};

/// Where a space is put before a text ("▁" in kinds with byte fallback).
enum class PrefixSpace : std::uint8_t {
  kNever,
  kAlways,  // before every piece of text between added tokens
  kUnless,  // the same, unless it begins with one
  kOnce,    // as kUnless, before a text's first piece only
};

/// How text becomes words and words become tokens: what differs between published tokenizers.
struct TokenizerRules {
  bool gpt2_pattern = true;       // words are those of kGpt2Pattern; else what `splits` gives
  std::vector<SplitStep> splits;  // none: a text is one word
  bool compose = false;           // Unicode normalisation form C first
  bool ignore_merges = false;     // a word that is a token is that token, whatever the merges say
  /// Tokens are texts, not bytes, with "▁" for a space; a character that is none becomes its bytes' tokens,
  /// <0x00> to <0xFF>. The kind of SentencePiece: Llama 2, Gemma, Mistral.
  bool byte_fallback = false;
  PrefixSpace prefix_space = PrefixSpace::kNever;
  bool strips_first_space = false;  // decoding takes away what prefix_space put there
  bool operator==(const TokenizerRules&) const = default;
};

/// Everything that a BPE tokenizer is: what is trained, stored and hashed.
struct Vocabulary {
  std::vector<std::string> tokens;     // bytes by token id; empty for special tokens
  std::vector<Merge> merges;           // by rank: lower ranks merge first
  std::vector<SpecialToken> specials;  // by ascending id, others that are found as a whole among them
  std::string end_of_text = std::string(kEndOfText);  // name of the special token that ends documents
  std::string begin_of_text;                          // and of the one that begins them; empty: none does
  TokenizerRules rules = {};
  std::vector<TokenId> byte_tokens = {};  // [256] of <0x00>…, with byte fallback only
  bool operator==(const Vocabulary&) const = default;
};

/// Throws Error{kCorrupt} naming the token or merge, unless: all 256 bytes are tokens; tokens are
/// distinct (save those of byte fallback); only special ones are empty; each merge joins two ordinary tokens
/// to one that has their bytes; no pair merges twice; end_of_text is special, and begin_of_text if there is
/// one.
void check_vocabulary(const Vocabulary& vocabulary);

/// 32 hexadecimal digits (XXH3, 128 bits) of the content and of the rules.
[[nodiscard]] std::string hash_vocabulary(const Vocabulary& vocabulary);

}  // namespace troupe::data
