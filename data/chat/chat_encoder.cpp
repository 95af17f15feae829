#include "data/chat/chat_encoder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "data/trained_spans.h"

namespace troupe::data {
namespace {

using Kind = ChatPiece::Kind;

std::optional<TokenId> special_id(const Tokenizer& tokenizer, std::string_view name) {
  const auto& specials = tokenizer.vocabulary().specials;
  const auto found = std::ranges::find(specials, name, &SpecialToken::name);
  if (found == specials.end() || !found->special) return std::nullopt;
  return found->id;
}

void require_specials(ChatTemplate chat, const Tokenizer& tokenizer) {
  std::vector<std::string> missing;
  for (const std::string& name : special_names(chat)) {
    if (!special_id(tokenizer, name)) missing.push_back(name);
  }
  if (missing.empty()) return;
  throw Error(ErrorCode::kConfig,
              "--chat {}: the tokenizer has no special token {}: take --chat plain, which needs none, the "
              "template that the tokenizer was made for, or a new tokenizer, which gets them (--tokenizer "
              "train:8192)",
              to_string(chat), fmt::join(missing, ", "));
}

}  // namespace

ChatEncoder::ChatEncoder(ChatTemplate chat, const Tokenizer& tokenizer)
    : chat_(chat), tokenizer_(tokenizer), end_of_turn_(tokenizer.end_of_text()) {
  require_specials(chat, tokenizer);
  if (const auto name = data::end_of_turn(chat); !name.empty()) end_of_turn_ = *special_id(tokenizer, name);
}

TokenId ChatEncoder::id_of(const ChatPiece& piece) const {
  return piece.kind == Kind::kEnd ? tokenizer_.end_of_text() : *special_id(tokenizer_, piece.text);
}

void ChatEncoder::encode(const std::vector<ChatPiece>& pieces, Encoder& encoder, std::vector<TokenId>& tokens,
                         std::vector<std::int64_t>& spans) const {
  const auto begin = std::ssize(tokens);
  for (const ChatPiece& piece : pieces) {
    const std::int64_t first = std::ssize(tokens) - begin;
    std::int64_t count = 1;
    if (piece.kind == Kind::kText) {
      encoder.encode(piece.text, tokens);
      count = std::ssize(tokens) - begin - first;
    } else {
      const TokenId id = id_of(piece);
      const bool frames = (&piece == &pieces.front() && id == tokenizer_.begin_of_text()) ||
                          (&piece == &pieces.back() && id == tokenizer_.end_of_text());
      if (!frames) tokens.push_back(id);
    }
    if (piece.trained && count > 0) append_span(first, first + count, spans);
  }
}

std::vector<TokenId> ChatEncoder::encode_question(std::vector<ChatMessage> said) const {
  std::vector<TokenId> tokens;
  std::vector<std::int64_t> none;
  Encoder encoder(tokenizer_);
  encode(write_question(chat_, std::move(said)), encoder, tokens, none);
  return tokens;
}

}  // namespace troupe::data
