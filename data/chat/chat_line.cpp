#include "data/chat/chat_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/chat/chat_messages.h"

namespace troupe::data {
namespace {

using nlohmann::json;

ChatLine broken(Fault fault, std::string what) {
  return {.fault = fault, .what = std::move(what), .conversation = {}, .domain = {}};
}

ChatLine broken(WrongLine wrong) { return broken(wrong.fault, std::move(wrong.what)); }

ChatLine take_conversation(const json& messages) {
  ChatLine line;
  if (auto wrong = take_messages(messages, "messages", line.conversation.messages))
    return broken(std::move(*wrong));
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
  json object;
  if (auto wrong = read_object(line, object)) return broken(std::move(*wrong));
  ChatLine parsed = take_object(object);
  if (parsed.fault) return parsed;
  if (auto wrong = read_domain(object, domain_field, parsed.domain)) return broken(std::move(*wrong));
  return parsed;
}

}  // namespace troupe::data
