#include "data/chat/chat_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "data/corpus/json_text.h"

namespace troupe::data {
namespace {

using nlohmann::json;

constexpr std::size_t kNamedMembers = 8;  // in a message
constexpr std::size_t kQuotedBytes = 40;

ChatLine broken(Fault fault, std::string what) {
  return {.fault = fault, .what = std::move(what), .conversation = {}, .domain = {}};
}

std::optional<Role> role_named(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user") return Role::kUser;
  if (name == "assistant") return Role::kAssistant;
  return std::nullopt;
}

const json* member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

/// "has no 'content'", "its 'content' is array instead of text"; empty: it is text.
std::string no_text(const json& object, const char* name) {
  const json* value = member(object, name);
  if (value == nullptr) return fmt::format("there is no '{}'", name);
  return value->is_string() ? "" : fmt::format("its '{}' is {} instead of text", name, value->type_name());
}

std::string members_of(const json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) {
    if (names.size() == kNamedMembers) break;
    names.push_back(to_utf8(name.substr(0, kQuotedBytes)));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Appends the message, or says what is wrong with it.
std::optional<ChatLine> take_message(const json& message, std::size_t number, Conversation& conversation) {
  const auto wrong = [&](Fault fault, const std::string& what) {
    return broken(fault, fmt::format("message {}: {}", number, what));
  };
  if (!message.is_object()) return wrong(Fault::kNoConversation, "it is no object with role and content");
  if (const std::string what = no_text(message, "role"); !what.empty())
    return wrong(Fault::kUnknownRole, what);
  const auto& name = message["role"].get_ref<const std::string&>();
  const auto role = role_named(name);
  if (!role) {
    return wrong(Fault::kUnknownRole, fmt::format("its role '{}' is none of system, user, assistant",
                                                  to_utf8(name.substr(0, kQuotedBytes))));
  }
  if (const std::string what = no_text(message, "content"); !what.empty())
    return wrong(Fault::kNoTextContent, what);
  ChatMessage taken{.role = *role, .content = message["content"].get<std::string>()};
  if (const json* reasoning = member(message, "reasoning_content"); reasoning && reasoning->is_string())
    taken.reasoning = reasoning->get<std::string>();
  conversation.messages.push_back(std::move(taken));
  return std::nullopt;
}

ChatLine take_messages(const json& messages) {
  if (!messages.is_array() || messages.empty())
    return broken(Fault::kNoConversation, "its 'messages' are no list of messages");
  ChatLine line;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (auto fault = take_message(messages[i], i + 1, line.conversation)) return std::move(*fault);
  }
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
  if (const json* messages = member(object, "messages")) return take_messages(*messages);
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
