#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/tokenizer/pair_map.h"
#include "data/tokenizer/vocabulary.h"

namespace troupe::data {

/// What a pair of adjacent tokens becomes, and how early.
struct MergeRule {
  std::int32_t rank = 0;
  TokenId result = 0;
};

/// What becomes of the names of special tokens in a text. Others that are found as a whole always are.
enum class SpecialNames : std::uint8_t { kAreText, kAreTokens };

/// Byte-pair encoding of the kinds that TokenizerRules tells apart. Any bytes can be encoded, and
/// decode(encode(bytes)) == bytes, save where the rules compose characters or put a space first.
/// Immutable, so safe to use from several threads.
class Tokenizer {
 public:
  /// Throws Error{kCorrupt} as check_vocabulary does.
  explicit Tokenizer(Vocabulary vocabulary);

  /// Gives no special token unless asked: `<|endoftext|>` written in a text is text.
  /// For many texts keep an Encoder (encoder.h), which remembers words between calls.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            SpecialNames names = SpecialNames::kAreText) const;

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
  /// What begins a document; mostly nothing does.
  [[nodiscard]] std::optional<TokenId> begin_of_text() const { return begin_of_text_; }
  /// What a text that is to be continued begins with.
  [[nodiscard]] TokenId document_start() const { return begin_of_text_.value_or(end_of_text_); }

  /// 32 hexadecimal digits, equal exactly when two tokenizers encode alike (vocabulary.h).
  [[nodiscard]] const std::string& hash() const { return hash_; }
  [[nodiscard]] const Vocabulary& vocabulary() const { return vocabulary_; }

  /// The tokenizer.json that it was read from; empty when it was trained here.
  [[nodiscard]] const std::string& source() const { return source_; }
  void set_source(std::string json) { source_ = std::move(json); }

  // For the encoder.
  [[nodiscard]] const TokenizerRules& rules() const { return vocabulary_.rules; }
  /// The token that has just these bytes; -1: none.
  [[nodiscard]] TokenId token_of(std::string_view bytes) const;
  [[nodiscard]] TokenId byte_token(std::uint8_t byte) const { return byte_tokens_[byte]; }
  /// nullptr when the two do not merge.
  [[nodiscard]] const MergeRule* merge_rule(TokenId left, TokenId right) const {
    return rules_.find(pair_key(left, right));
  }

 private:
  void find_byte_tokens();
  void index_tokens();

  Vocabulary vocabulary_;
  std::array<TokenId, 256> byte_tokens_{};
  PairMap<MergeRule> rules_;
  struct HashText {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, TokenId, HashText, std::equal_to<>> whole_;  // what token_of() is asked for
  TokenId end_of_text_ = 0;
  std::optional<TokenId> begin_of_text_;
  std::string source_;
  std::string hash_;
};

}  // namespace troupe::data
