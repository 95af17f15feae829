#include "data/tokenizer/tokenizer.h"

#include <cstddef>
#include <utility>

#include "base/error.h"
#include "data/tokenizer/encoder.h"

namespace troupe::data {

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), rules_(vocabulary_.merges.size()) {
  check_vocabulary(vocabulary_);
  for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const std::string& token = vocabulary_.tokens[id];
    if (token.size() == 1) byte_tokens_[static_cast<unsigned char>(token[0])] = static_cast<TokenId>(id);
  }
  for (std::size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const Merge& merge = vocabulary_.merges[rank];
    rules_.find_or_insert(pair_key(merge.left, merge.right), {static_cast<std::int32_t>(rank), merge.result});
  }
  for (const SpecialToken& special : vocabulary_.specials) {
    if (special.name == kEndOfText) end_of_text_ = special.id;
  }
  hash_ = hash_vocabulary(vocabulary_);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> tokens;
  Encoder(*this).encode(text, tokens);
  return tokens;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  std::string text;
  for (const TokenId token : tokens) text += token_bytes(token);
  return text;
}

std::string_view Tokenizer::token_bytes(TokenId token) const {
  if (token < 0 || token >= vocab_size()) {
    throw Error(ErrorCode::kCorrupt,
                "token id {} is outside the vocabulary, 0..{}: is this the tokenizer of the data?", token,
                vocab_size() - 1);
  }
  return vocabulary_.tokens[static_cast<std::size_t>(token)];
}

}  // namespace troupe::data
