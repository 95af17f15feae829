#include "data/chat/chat_messages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "data/corpus/json_text.h"

namespace troupe::data {
namespace {

using nlohmann::json;

constexpr std::size_t kNamedMembers = 8;  // in a message
constexpr std::size_t kQuotedBytes = 40;

std::optional<Role> role_named(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user") return Role::kUser;
  if (name == "assistant") return Role::kAssistant;
  return std::nullopt;
}

/// Roles that some chats have and no template here writes.
std::string_view hint_for(std::string_view role) {
  if (role == "developer") return "; what a developer says is the system's: rename it";
  if (role == "tool" || role == "function") return "; calls of tools are not written by these templates";
  return "";
}

WrongLine unknown_role(std::string_view name) {
  return {Fault::kUnknownRole, fmt::format("its role '{}' is none of system, user, assistant{}",
                                           to_utf8(name.substr(0, kQuotedBytes)), hint_for(name))};
}

/// What an assistant calls instead of answering; null and an empty list are no call.
bool calls_tools(const json& message) {
  const json* calls = member(message, "tool_calls");
  return calls != nullptr && !calls->is_null() && !calls->empty();
}

std::optional<WrongLine> take_message(const json& message, std::vector<ChatMessage>& messages) {
  if (!message.is_object()) return WrongLine{Fault::kNoConversation, "it is no object with role and content"};
  if (std::string what = no_text(message, "role"); !what.empty())
    return WrongLine{Fault::kUnknownRole, std::move(what)};
  const auto& name = message["role"].get_ref<const std::string&>();
  const auto role = role_named(name);
  if (!role) return unknown_role(name);
  if (calls_tools(message))
    return WrongLine{Fault::kNoTextContent, "it has 'tool_calls', which these templates do not write"};
  if (std::string what = no_text(message, "content"); !what.empty())
    return WrongLine{Fault::kNoTextContent, std::move(what)};
  ChatMessage taken{.role = *role, .content = message["content"].get<std::string>()};
  if (const json* reasoning = member(message, "reasoning_content"); reasoning && reasoning->is_string())
    taken.reasoning = reasoning->get<std::string>();
  messages.push_back(std::move(taken));
  return std::nullopt;
}

}  // namespace

const json* member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

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

std::optional<WrongLine> read_object(std::string_view line, json& object) {
  if (!is_utf8(line)) return WrongLine{Fault::kNoUtf8, "not UTF-8"};
  std::optional<json> found = parse_object(line);
  if (!found) return WrongLine{Fault::kBrokenLine, "no JSON object"};
  object = std::move(*found);
  return std::nullopt;
}

std::optional<WrongLine> read_domain(const json& object, const std::string& domain_field,
                                     std::string& domain) {
  if (domain_field.empty()) return std::nullopt;
  const std::string* found = text_at(object, domain_field);
  if (found == nullptr || found->empty())
    return WrongLine{Fault::kBrokenLine, fmt::format("no text in '{}'", domain_field)};
  domain = *found;
  return std::nullopt;
}

std::optional<WrongLine> take_messages(const json& list, const char* name,
                                       std::vector<ChatMessage>& messages) {
  if (!list.is_array() || list.empty())
    return WrongLine{Fault::kNoConversation, fmt::format("its '{}' are no list of messages", name)};
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto wrong = take_message(list[i], messages);
    if (wrong) return WrongLine{wrong->fault, fmt::format("message {}: {}", i + 1, wrong->what)};
  }
  return std::nullopt;
}

}  // namespace troupe::data
