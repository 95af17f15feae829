#pragma once
#include <cstdint>
#include <string_view>

#include "data/tokenizer/encoder.h"

namespace troupe::data {

/// How well a tokenizer's vocabulary fits some text. A word is a run of characters that are not
/// White_Space; its tokens are those of the word with the space before it. In scripts that do not
/// put spaces between words only bytes_per_token compares.
struct TokenizerScore {
  std::int64_t bytes = 0;
  std::int64_t tokens = 0;
  std::int64_t words = 0;
  std::int64_t word_tokens = 0;      // tokens of the words, without those of other spaces
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
