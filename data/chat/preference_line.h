#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "data/chat/conversation.h"
#include "data/sources/faults.h"

namespace troupe::data {

/// A line of preference JSONL, two conversations that differ from an answer of the assistant on; or what is
/// wrong with it:
///   {"prompt": "…", "chosen": "…", "rejected": "…"}        a prompt and two completions
///   {"prompt": […], "chosen": […], "rejected": […]}        messages; the prompt may be missing
/// A prompt that is text beside lists of messages is the user's message, unless they begin with one.
struct PreferenceLine {
  std::optional<Fault> fault;
  std::string what;
  Conversation chosen;
  Conversation rejected;
  std::string domain;
};

/// `line` is without its line end. Takes any bytes. domain_field: a member as JsonFields::domain.
[[nodiscard]] PreferenceLine parse_preference_line(std::string_view line,
                                                   const std::string& domain_field = {});

}  // namespace troupe::data
