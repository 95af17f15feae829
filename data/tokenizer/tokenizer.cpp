#include "data/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/index.h"
#include "data/tokenizer/encoder.h"

namespace troupe::data {
namespace {

/// "▁" stands for a space.
std::string with_spaces(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(kSpaceMark), text.size());
    result.append(text.substr(0, end));
    if (end < text.size()) result += ' ';
    text.remove_prefix(std::min(end + kSpaceMark.size(), text.size()));
  }
  return result;
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), rules_(vocabulary_.merges.size()) {
  check_vocabulary(vocabulary_);
  find_byte_tokens();
  if (vocabulary_.rules.ignore_merges || vocabulary_.rules.byte_fallback) index_tokens();
  for (std::size_t rank = 0; rank < vocabulary_.merges.size(); ++rank) {
    const Merge& merge = vocabulary_.merges[rank];
    rules_.find_or_insert(pair_key(merge.left, merge.right), {static_cast<std::int32_t>(rank), merge.result});
  }
  for (const SpecialToken& special : vocabulary_.specials) {
    if (special.name == vocabulary_.end_of_text) end_of_text_ = special.id;
    if (special.name == vocabulary_.begin_of_text) begin_of_text_ = special.id;
  }
  hash_ = hash_vocabulary(vocabulary_);
}

void Tokenizer::find_byte_tokens() {
  if (vocabulary_.rules.byte_fallback) {
    std::ranges::copy(vocabulary_.byte_tokens, byte_tokens_.begin());
    return;
  }
  for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const std::string& token = vocabulary_.tokens[id];
    if (token.size() == 1) byte_tokens_[static_cast<unsigned char>(token[0])] = static_cast<TokenId>(id);
  }
}

void Tokenizer::index_tokens() {
  const std::set<TokenId> bytes(vocabulary_.byte_tokens.begin(), vocabulary_.byte_tokens.end());
  for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
    const auto token = static_cast<TokenId>(id);
    if (!vocabulary_.tokens[id].empty() && !bytes.contains(token))
      whole_.emplace(vocabulary_.tokens[id], token);
  }
  for (const SpecialToken& added : vocabulary_.specials) {
    if (!added.special) whole_.erase(added.name);
  }
}

TokenId Tokenizer::token_of(std::string_view bytes) const {
  const auto found = whole_.find(bytes);
  return found == whole_.end() ? -1 : found->second;
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialNames names) const {
  std::vector<TokenId> tokens;
  Encoder(*this, names).encode(text, tokens);
  return tokens;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens) const {
  std::string text;
  for (const TokenId token : tokens) text += token_bytes(token);
  if (!vocabulary_.rules.byte_fallback) return text;
  text = with_spaces(text);
  if (vocabulary_.rules.strips_first_space && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

std::string_view Tokenizer::token_bytes(TokenId token) const {
  if (token < 0 || token >= vocab_size()) {
    throw Error(ErrorCode::kCorrupt,
                "token id {} is outside the vocabulary, 0..{}: is this the tokenizer of the data?", token,
                vocab_size() - 1);
  }
  return vocabulary_.tokens[at(token)];
}

}  // namespace troupe::data
