#pragma once
#include <cstdint>
#include <string_view>

#include "data/tokenizer/encoder.h"

namespace troupe::data {

/// How well a tokenizer's vocabulary fits some text. Words are those of ICU (Unicode Annex 29, with
/// dictionaries for scripts that put no spaces between words), each encoded alone, as published fertilities
/// are counted.
struct TokenizerScore {
  std::int64_t bytes = 0;
  std::int64_t tokens = 0;
  std::int64_t words = 0;
  std::int64_t word_tokens = 0;      // tokens of the words, each encoded alone
  std::int64_t continued_words = 0;  // words of two tokens or more

  /// 0 when there is no text or no word.
  [[nodiscard]] double bytes_per_token() const;
  [[nodiscard]] double fertility() const;  // tokens per word
  [[nodiscard]] double continued_proportion() const;

  TokenizerScore& operator+=(const TokenizerScore& other);
  bool operator==(const TokenizerScore&) const = default;
};

[[nodiscard]] TokenizerScore score_text(Encoder& encoder, std::string_view text);

}  // namespace troupe::data
