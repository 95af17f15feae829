#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/pair_map.h"
#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// What a pair of adjacent tokens becomes, and how early.
struct MergeRule {
  std::int32_t rank = 0;
  TokenId result = 0;
};

/// Byte-level byte-pair encoding with GPT-2's pre-tokenizer (pre_tokenizer.h). Any bytes can be
/// encoded, and decode(encode(bytes)) == bytes.
/// Immutable, so safe to use from several threads.
class Tokenizer {
 public:
  /// Throws Error{kCorrupt} as check_vocabulary does.
  explicit Tokenizer(Vocabulary vocabulary);

  /// Never gives a special token: `<|endoftext|>` written in a text is text.
  /// For many texts keep an Encoder (encoder.h), which remembers words between calls.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;

  /// The bytes of all tokens; special tokens give none. Throws Error{kCorrupt} for an id outside
  /// 0..vocab_size()-1.
  [[nodiscard]] std::string decode(std::span<const TokenId> tokens) const;

  /// The bytes that a token stands for: empty for special tokens. Throws as decode does.
  [[nodiscard]] std::string_view token_bytes(TokenId token) const;
  [[nodiscard]] bool is_special(TokenId token) const { return token_bytes(token).empty(); }

  [[nodiscard]] int vocab_size() const { return static_cast<int>(vocabulary_.tokens.size()); }
  /// vocab_size() rounded up to a multiple of 128: the rows of an embedding. Ids from vocab_size()
  /// on stand for nothing and never occur in data.
  [[nodiscard]] int padded_vocab_size() const { return (vocab_size() + 127) / 128 * 128; }
  [[nodiscard]] TokenId end_of_text() const { return end_of_text_; }

  /// 32 hexadecimal digits, equal exactly when two tokenizers encode alike (vocabulary.h).
  [[nodiscard]] const std::string& hash() const { return hash_; }
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

  // For the encoder.
  [[nodiscard]] TokenId byte_token(std::uint8_t byte) const { return byte_tokens_[byte]; }
  /// nullptr when the two do not merge.
  [[nodiscard]] const MergeRule* merge_rule(TokenId left, TokenId right) const {
    return rules_.find(pair_key(left, right));
  }

 private:
  Vocabulary vocabulary_;
  std::array<TokenId, 256> byte_tokens_{};
  PairMap<MergeRule> rules_;
  TokenId end_of_text_ = 0;
  std::string hash_;
};

}  // namespace troupe::data
