#include "data/chat/chat_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "data/tokenizer/unicode.h"

namespace troupe::data {
namespace {

constexpr std::array<std::pair<std::string_view, ChatTemplate>, 4> kNames = {
    {{"chatml", ChatTemplate::kChatml},
     {"llama3", ChatTemplate::kLlama3},
     {"qwen3", ChatTemplate::kQwen3},
     {"plain", ChatTemplate::kPlain}}};

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kSystem:
      return "system";
    case Role::kUser:
      return "user";
    case Role::kAssistant:
      return "assistant";
  }
  return "";
}

class Writer {
 public:
  void text(std::string_view text, bool trained = false) {
    if (text.empty()) return;
    const bool joins = !pieces_.empty() && pieces_.back().kind == ChatPiece::Kind::kText &&
                       pieces_.back().trained == trained;
    if (!joins) pieces_.push_back({.text = "", .trained = trained});
    pieces_.back().text += text;
  }
  void special(std::string_view name, bool trained = false) {
    pieces_.push_back({ChatPiece::Kind::kSpecial, std::string(name), trained});
  }
  void end_of_text() { pieces_.push_back({ChatPiece::Kind::kEnd, "", true}); }
  [[nodiscard]] std::vector<ChatPiece> pieces() && { return std::move(pieces_); }

 private:
  std::vector<ChatPiece> pieces_;
};

// What begins an answer, in each template: the generation prompt.

void begin_chatml_turn(Writer& writer, Role role) {
  writer.special("<|im_start|>");
  writer.text(name_of(role));
  writer.text("\n");
}

void begin_llama3_turn(Writer& writer, Role role) {
  writer.special("<|start_header_id|>");
  writer.text(name_of(role));
  writer.special("<|end_header_id|>");
  writer.text("\n\n");
}

void write_chatml(Writer& writer, const std::vector<ChatMessage>& messages) {
  for (const ChatMessage& message : messages) {
    const bool trained = message.role == Role::kAssistant;
    begin_chatml_turn(writer, message.role);
    writer.text(message.content, trained);
    writer.special("<|im_end|>", trained);
    writer.text("\n");
  }
}

/// str.strip() of Python, which the published template calls.
std::string_view strip(std::string_view text) {
  const CharacterReader reader;
  const auto is_space = [&](std::size_t at) {
    return reader.at(text, at).kind == CharacterClass::kSpace || ('\x1C' <= text[at] && text[at] <= '\x1F');
  };
  while (!text.empty() && is_space(0)) text.remove_prefix(reader.at(text, 0).bytes);
  while (!text.empty()) {
    std::size_t last = text.size() - 1;
    while (last > 0 && is_utf8_continuation(text[last])) --last;
    if (!is_space(last)) break;
    text = text.substr(0, last);
  }
  return text;
}

void write_llama3(Writer& writer, const std::vector<ChatMessage>& messages) {
  writer.special("<|begin_of_text|>");
  for (const ChatMessage& message : messages) {
    const bool trained = message.role == Role::kAssistant;
    begin_llama3_turn(writer, message.role);
    writer.text(strip(message.content), trained);
    writer.special("<|eot_id|>", trained);
  }
}

std::string_view strip_newlines(std::string_view text, bool begin, bool end) {
  while (begin && text.starts_with('\n')) text.remove_prefix(1);
  while (end && text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

/// An answer of Qwen 3, taken apart.
struct Thought {
  std::string_view reasoning;
  std::string_view content;
};

Thought thought_of(const ChatMessage& message) {
  constexpr std::string_view kBegin = "<think>";
  constexpr std::string_view kEnd = "</think>";
  const std::string_view content = message.content;
  if (message.reasoning) return {*message.reasoning, content};
  const std::size_t first_end = content.find(kEnd);
  if (first_end == std::string_view::npos) return {"", content};
  std::string_view reasoning = strip_newlines(content.substr(0, first_end), false, true);
  if (const auto begin = reasoning.rfind(kBegin); begin != std::string_view::npos)
    reasoning.remove_prefix(begin + kBegin.size());
  return {strip_newlines(reasoning, true, false),
          strip_newlines(content.substr(content.rfind(kEnd) + kEnd.size()), true, false)};
}

/// The last message that asks: answers after it keep their reasoning.
std::size_t last_question(const std::vector<ChatMessage>& messages) {
  for (std::size_t i = messages.size(); i-- > 0;) {
    const std::string& content = messages[i].content;
    const bool is_tools = content.starts_with("<tool_response>") && content.ends_with("</tool_response>");
    if (messages[i].role == Role::kUser && !is_tools) return i;
  }
  return messages.size() - 1;
}

void write_qwen3(Writer& writer, const std::vector<ChatMessage>& messages) {
  const std::size_t question = last_question(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool trained = messages[i].role == Role::kAssistant;
    begin_chatml_turn(writer, messages[i].role);
    if (trained) {
      const auto [reasoning, content] = thought_of(messages[i]);
      const bool thinks = i > question && (i + 1 == messages.size() || !reasoning.empty());
      if (thinks) {
        writer.text("<think>\n", true);
        writer.text(strip_newlines(reasoning, true, true), true);
        writer.text("\n</think>\n\n", true);
      }
      writer.text(thinks ? strip_newlines(content, true, false) : content, true);
    } else {
      writer.text(messages[i].content);
    }
    writer.special("<|im_end|>", trained);
    writer.text("\n");
  }
}

// The space before an answer belongs to it: words are learned with the space before them.
void write_plain(Writer& writer, const std::vector<ChatMessage>& messages) {
  for (const ChatMessage& message : messages) {
    if (message.role == Role::kAssistant) {
      writer.text("Assistant:");
      writer.text(" " + message.content, true);
      writer.end_of_text();
    } else {
      writer.text(message.role == Role::kSystem ? "System: " : "User: ");
      writer.text(message.content);
      writer.text("\n");
    }
  }
}

}  // namespace

std::optional<ChatTemplate> chat_template_named(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, [](const auto& entry) { return entry.first; });
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

std::string_view to_string(ChatTemplate chat) {
  return std::ranges::find(kNames, chat, [](const auto& entry) { return entry.second; })->first;
}

std::vector<std::string> special_names(ChatTemplate chat) {
  switch (chat) {
    case ChatTemplate::kChatml:
    case ChatTemplate::kQwen3:
      return {"<|im_start|>", "<|im_end|>"};
    case ChatTemplate::kLlama3:
      return {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
    case ChatTemplate::kPlain:
      return {};
  }
  return {};
}

std::string_view end_of_turn(ChatTemplate chat) {
  switch (chat) {
    case ChatTemplate::kChatml:
    case ChatTemplate::kQwen3:
      return "<|im_end|>";
    case ChatTemplate::kLlama3:
      return "<|eot_id|>";
    case ChatTemplate::kPlain:
      return "";
  }
  return "";
}

std::vector<ChatPiece> write_chat(ChatTemplate chat, const Conversation& conversation) {
  Writer writer;
  switch (chat) {
    case ChatTemplate::kChatml:
      write_chatml(writer, conversation.messages);
      break;
    case ChatTemplate::kLlama3:
      write_llama3(writer, conversation.messages);
      break;
    case ChatTemplate::kQwen3:
      write_qwen3(writer, conversation.messages);
      break;
    case ChatTemplate::kPlain:
      if (!conversation.is_completion) {
        write_plain(writer, conversation.messages);
        break;
      }
      writer.text(conversation.messages.at(0).content);
      writer.text(conversation.messages.at(1).content, true);
      writer.end_of_text();
      break;
  }
  return std::move(writer).pieces();
}

ChatPair write_pair(ChatTemplate chat, const Conversation& chosen, const Conversation& rejected) {
  ChatPair pair{write_chat(chat, chosen), write_chat(chat, rejected)};
  const auto [first, second] = std::ranges::mismatch(pair.chosen, pair.rejected);
  std::ranges::for_each(pair.chosen.begin(), first, [](ChatPiece& piece) { piece.trained = false; });
  std::ranges::for_each(pair.rejected.begin(), second, [](ChatPiece& piece) { piece.trained = false; });
  return pair;
}

std::vector<ChatPiece> write_question(ChatTemplate chat, std::vector<ChatMessage> said) {
  said.push_back({.role = Role::kAssistant, .content = "an answer"});
  std::vector<ChatPiece> pieces = write_chat(chat, {.messages = std::move(said)});
  while (!pieces.back().trained) pieces.pop_back();  // what follows the end of the turn
  while (pieces.back().trained) pieces.pop_back();
  return pieces;
}

ChatMessage written_answer(ChatTemplate chat, std::string text) {
  if (chat == ChatTemplate::kPlain && text.starts_with(' '))
    text.erase(0, 1);  // which write_plain() puts there
  return {.role = Role::kAssistant, .content = std::move(text)};
}

std::string text_of(const std::vector<ChatPiece>& pieces) {
  std::string text;
  for (const ChatPiece& piece : pieces) {
    if (piece.kind == ChatPiece::Kind::kText) text += piece.text;
  }
  return text;
}

}  // namespace troupe::data
