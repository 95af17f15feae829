#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/chat/chat_template.h"
#include "data/tokenizer/encoder.h"

namespace troupe::data {

/// Written conversations → ids, and which of them are trained. Immutable; the tokenizer outlives it.
class ChatEncoder {
 public:
  /// Throws kConfig naming the special tokens that the tokenizer lacks.
  ChatEncoder(ChatTemplate chat, const Tokenizer& tokenizer);

  /// Appends a document without what frames it in a token file (a begin of text, the end of text).
  /// spans: of trained tokens, counted from the first one appended; the last may hold one more, the end of
  /// text of the frame.
  void encode(const std::vector<ChatPiece>& pieces, Encoder& encoder, std::vector<TokenId>& tokens,
              std::vector<std::int64_t>& spans) const;

  /// What an answer to what was said is written after.
  [[nodiscard]] std::vector<TokenId> encode_question(std::vector<ChatMessage> said) const;
  /// What ends an answer.
  [[nodiscard]] TokenId end_of_turn() const { return end_of_turn_; }

 private:
  [[nodiscard]] TokenId id_of(const ChatPiece& piece) const;

  ChatTemplate chat_;
  const Tokenizer& tokenizer_;
  TokenId end_of_turn_;
};

}  // namespace troupe::data
