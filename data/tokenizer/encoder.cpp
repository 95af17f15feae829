#include "data/tokenizer/encoder.h"

namespace troupe::data {
namespace {

constexpr std::size_t kLongestRememberedWord = 48;       // bytes; longer ones seldom return
constexpr std::uint32_t kMostRememberedWords = 1 << 18;  // then it forgets all and begins anew

}  // namespace

void Encoder::encode(std::string_view text, std::vector<TokenId>& tokens) {
  pre_tokenizer_.for_each_word(text, [&](std::string_view word) { encode_word(word, tokens); });
}

void Encoder::encode_word(std::string_view word, std::vector<TokenId>& tokens) {
  if (word.size() > kLongestRememberedWord) {
    merger_.merge(word, tokens);
    return;
  }
  const std::uint64_t word_hash = WordTable::hash(word);
  const std::uint32_t number = words_.find(word, word_hash);
  if (number == WordTable::kMissing) {
    const std::size_t first = tokens.size();
    merger_.merge(word, tokens);
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
