#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/chat/conversation.h"

namespace troupe::data {

/// How a conversation is written as one text; docs/data.md has each in full.
enum class ChatTemplate : std::uint8_t {
  kChatml,  // OpenAI's ChatML
  kLlama3,  // Llama 3 Instruct
  kQwen3,   // Qwen 3, without tools
  kPlain,   // no special tokens but the end of text
};

[[nodiscard]] std::optional<ChatTemplate> chat_template_named(std::string_view name);
[[nodiscard]] std::string_view to_string(ChatTemplate chat);
/// Names of the special tokens that a template is written with.
[[nodiscard]] std::vector<std::string> special_names(ChatTemplate chat);
/// Of the token that ends an assistant's turn; empty: the end of text does.
[[nodiscard]] std::string_view end_of_turn(ChatTemplate chat);

/// A part of a written conversation: text, or the name of a special token, which is that token. In a text
/// such a name is text.
struct ChatPiece {
  enum class Kind : std::uint8_t { kText, kSpecial, kEnd };
  Kind kind = Kind::kText;
  std::string text;
  bool trained = false;  // what the assistant writes, the end of its turn included

  bool operator==(const ChatPiece&) const = default;
};

/// Neighbouring texts are one piece, save at the begin of what is trained: there a prompt ends, too.
[[nodiscard]] std::vector<ChatPiece> write_chat(ChatTemplate chat, const Conversation& conversation);
/// Two conversations about one prompt. Only what is written after their common beginning is trained.
struct ChatPair {
  std::vector<ChatPiece> chosen;
  std::vector<ChatPiece> rejected;
};
[[nodiscard]] ChatPair write_pair(ChatTemplate chat, const Conversation& chosen,
                                  const Conversation& rejected);
/// What was said, up to where the assistant's next answer begins; its pieces are trained as in a
/// conversation.
[[nodiscard]] std::vector<ChatPiece> write_question(ChatTemplate chat, std::vector<ChatMessage> said);
/// A message of the assistant that write_question() takes, from what a model wrote after it.
[[nodiscard]] ChatMessage written_answer(ChatTemplate chat, std::string text);

/// The texts of all pieces.
[[nodiscard]] std::string text_of(const std::vector<ChatPiece>& pieces);

}  // namespace troupe::data
