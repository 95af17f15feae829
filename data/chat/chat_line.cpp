#include "data/chat/chat_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "data/chat/chat_messages.h"
#include "data/corpus/json_text.h"

namespace troupe::data {
namespace {

using nlohmann::json;

ChatLine broken(Fault fault, std::string what) {
  return {.fault = fault, .what = std::move(what), .conversation = {}, .domain = {}};
}

ChatLine take_conversation(const json& messages) {
  ChatLine line;
  if (auto wrong = take_messages(messages, "messages", line.conversation.messages))
    return broken(wrong->fault, std::move(wrong->what));
  const bool answered = std::ranges::find(line.conversation.messages, Role::kAssistant, &ChatMessage::role) !=
                        line.conversation.messages.end();
  return answered ? line : broken(Fault::kNoAssistant, "no message is the assistant's");
}

ChatLine take_completion(const json& object) {
  for (const char* name : {"prompt", "completion"}) {
    if (const std::string what = no_text(object, name); !what.empty())
      return broken(member(object, name) ? Fault::kNoTextContent : Fault::kNoConversation, what);
  }
  ChatLine line;
  line.conversation = {.messages = {{Role::kUser, object["prompt"].get<std::string>()},
                                    {Role::kAssistant, object["completion"].get<std::string>()}},
                       .is_completion = true};
  return line;
}

ChatLine take_object(const json& object) {
  if (const json* messages = member(object, "messages")) return take_conversation(*messages);
  if (member(object, "prompt") || member(object, "completion")) return take_completion(object);
  return broken(Fault::kNoConversation,
                fmt::format("neither 'messages' nor 'prompt' and 'completion', but: {}", members_of(object)));
}

}  // namespace

ChatLine parse_chat_line(std::string_view line, const std::string& domain_field) {
  if (!is_utf8(line)) return broken(Fault::kNoUtf8, "not UTF-8");
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return broken(Fault::kBrokenLine, "no JSON object");
  ChatLine parsed = take_object(object);
  if (parsed.fault || domain_field.empty()) return parsed;
  const std::string* domain = text_at(object, domain_field);
  if (domain == nullptr || domain->empty())
    return broken(Fault::kBrokenLine, fmt::format("no text in '{}'", domain_field));
  parsed.domain = *domain;
  return parsed;
}

}  // namespace troupe::data
