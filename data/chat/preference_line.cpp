#include "data/chat/preference_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/chat/chat_messages.h"

namespace troupe::data {
namespace {

using nlohmann::json;

PreferenceLine broken(Fault fault, std::string what) {
  return {.fault = fault, .what = std::move(what), .chosen = {}, .rejected = {}, .domain = {}};
}

PreferenceLine broken(WrongLine wrong) { return broken(wrong.fault, std::move(wrong.what)); }

Conversation completion(const json& object, const char* answer) {
  return {.messages = {{Role::kUser, object["prompt"].get<std::string>()},
                       {Role::kAssistant, object[answer].get<std::string>()}},
          .is_completion = true};
}

PreferenceLine take_completions(const json& object) {
  for (const char* name : {"prompt", "chosen", "rejected"}) {
    if (const std::string what = no_text(object, name); !what.empty())
      return broken(member(object, name) ? Fault::kNoTextContent : Fault::kNoPreference, what);
  }
  PreferenceLine line;
  line.chosen = completion(object, "chosen");
  line.rejected = completion(object, "rejected");
  return line;
}

std::optional<WrongLine> take_half(const json& object, const char* name, Conversation& half) {
  const json* prompt = member(object, "prompt");
  if (prompt != nullptr && prompt->is_array() && !prompt->empty()) {
    if (auto wrong = take_messages(*prompt, "prompt", half.messages)) return wrong;
  }
  const std::size_t prompted = half.messages.size();
  if (auto wrong = take_messages(object[name], name, half.messages)) return wrong;
  const bool asks = half.messages[prompted].role != Role::kAssistant;
  if (prompt != nullptr && prompt->is_string() && !asks)
    half.messages.insert(half.messages.begin(), {Role::kUser, prompt->get<std::string>()});
  if (half.messages.back().role == Role::kAssistant) return std::nullopt;
  return WrongLine{Fault::kNoAssistant, fmt::format("'{}' does not end with the assistant's answer", name)};
}

PreferenceLine take_conversations(const json& object) {
  PreferenceLine line;
  if (auto wrong = take_half(object, "chosen", line.chosen)) return broken(std::move(*wrong));
  if (auto wrong = take_half(object, "rejected", line.rejected)) return broken(std::move(*wrong));
  return line;
}

/// Both are the same up to an answer in which they differ.
std::optional<WrongLine> no_preference(const PreferenceLine& line) {
  const auto [chosen, rejected] = std::ranges::mismatch(line.chosen.messages, line.rejected.messages);
  if (chosen == line.chosen.messages.end() && rejected == line.rejected.messages.end())
    return WrongLine{Fault::kNoPreference, "chosen and rejected are the same"};
  const bool answers = chosen != line.chosen.messages.end() && rejected != line.rejected.messages.end() &&
                       chosen->role == Role::kAssistant && rejected->role == Role::kAssistant;
  if (answers) return std::nullopt;
  return WrongLine{
      Fault::kNoPreference,
      "chosen and rejected do not differ first in an answer of the assistant: they are answers to "
      "different prompts"};
}

PreferenceLine take_object(const json& object) {
  for (const char* name : {"chosen", "rejected"}) {
    if (member(object, name) == nullptr)
      return broken(Fault::kNoPreference, fmt::format("there is no '{}', but: {}", name, members_of(object)));
  }
  PreferenceLine line = object["chosen"].is_array() || object["rejected"].is_array()
                            ? take_conversations(object)
                            : take_completions(object);
  if (line.fault) return line;
  if (auto wrong = no_preference(line)) return broken(std::move(*wrong));
  return line;
}

}  // namespace

PreferenceLine parse_preference_line(std::string_view line, const std::string& domain_field) {
  json object;
  if (auto wrong = read_object(line, object)) return broken(std::move(*wrong));
  PreferenceLine parsed = take_object(object);
  if (parsed.fault) return parsed;
  if (auto wrong = read_domain(object, domain_field, parsed.domain)) return broken(std::move(*wrong));
  return parsed;
}

}  // namespace troupe::data
