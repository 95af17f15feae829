#include "data/tokenizer/encoder.h"

#include "data/tokenizer/normaliser.h"

namespace troupe::data {
namespace {

constexpr std::size_t kLongestRememberedWord = 48;       // bytes; longer ones seldom return
constexpr std::uint32_t kMostRememberedWords = 1 << 18;  // then it forgets all and begins anew

}  // namespace

Encoder::Encoder(const Tokenizer& tokenizer, SpecialNames names)
    : tokenizer_(tokenizer),
      added_(tokenizer.vocabulary().specials, /*normalized=*/false, names == SpecialNames::kAreTokens),
      normalised_added_(tokenizer.vocabulary().specials, /*normalized=*/true,
                        names == SpecialNames::kAreTokens),
      splitter_(tokenizer.rules().splits),
      merger_(tokenizer) {}

void Encoder::encode(std::string_view text, std::vector<TokenId>& tokens) {
  if (added_.empty()) return encode_piece(text, true, tokens);
  added_.split(
      text, [&](std::string_view piece) { encode_piece(piece, piece.data() == text.data(), tokens); },
      [&](TokenId token) { tokens.push_back(token); });
}

void Encoder::encode_piece(std::string_view text, bool first, std::vector<TokenId>& tokens) {
  const TokenizerRules& rules = tokenizer_.rules();
  const bool changes = rules.compose || rules.byte_fallback;
  if (!changes && normalised_added_.empty()) return encode_normalised(text, tokens);
  const std::string normalised = changes ? normalise(text, rules, first) : std::string(text);
  normalised_added_.split(
      normalised, [&](std::string_view piece) { encode_normalised(piece, tokens); },
      [&](TokenId token) { tokens.push_back(token); });
}

void Encoder::encode_normalised(std::string_view text, std::vector<TokenId>& tokens) {
  const auto encode_words = [&](std::string_view piece) {
    if (!tokenizer_.rules().gpt2_pattern) return encode_word(piece, tokens);
    pre_tokenizer_.for_each_word(piece, [&](std::string_view word) { encode_word(word, tokens); });
  };
  if (tokenizer_.rules().splits.empty()) {
    if (!text.empty()) encode_words(text);
  } else {
    splitter_.for_each_piece(text, encode_words);
  }
}

void Encoder::merge(std::string_view word, std::vector<TokenId>& tokens) {
  const TokenId whole = tokenizer_.rules().ignore_merges ? tokenizer_.token_of(word) : -1;
  if (whole >= 0) {
    tokens.push_back(whole);
  } else {
    merger_.merge(word, tokens);
  }
}

void Encoder::encode_word(std::string_view word, std::vector<TokenId>& tokens) {
  if (word.size() > kLongestRememberedWord) {
    merge(word, tokens);
    return;
  }
  const std::uint64_t word_hash = WordTable::hash(word);
  const std::uint32_t number = words_.find(word, word_hash);
  if (number == WordTable::kMissing) {
    const std::size_t first = tokens.size();
    merge(word, tokens);
    remember(word, word_hash, tokens, first);
    return;
  }
  const TokenId* begin = remembered_tokens_.data() + remembered_[number].begin;
  tokens.insert(tokens.end(), begin, begin + remembered_[number].count);
}

void Encoder::remember(std::string_view word, std::uint64_t word_hash, const std::vector<TokenId>& tokens,
                       std::size_t first) {
  if (words_.size() == kMostRememberedWords) {
    words_.clear();
    remembered_.clear();
    remembered_tokens_.clear();
  }
  words_.find_or_insert(word, word_hash);
  remembered_.push_back({static_cast<std::uint32_t>(remembered_tokens_.size()),
                         static_cast<std::uint32_t>(tokens.size() - first)});
  remembered_tokens_.insert(remembered_tokens_.end(), tokens.begin() + static_cast<std::ptrdiff_t>(first),
                            tokens.end());
}

}  // namespace troupe::data
