#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "data/chat/conversation.h"
#include "data/sources/faults.h"

namespace troupe::data {

/// A line of chat JSONL: {"messages": [{"role": …, "content": …}, …]} or {"prompt": …, "completion": …}; or
/// what is wrong with it.
struct ChatLine {
  std::optional<Fault> fault;
  std::string what;  // "message 2: its role 'human' is none of system, user, assistant"
  Conversation conversation;
  std::string domain;
};

/// `line` is without its line end. Takes any bytes. domain_field: a member as JsonFields::domain.
[[nodiscard]] ChatLine parse_chat_line(std::string_view line, const std::string& domain_field = {});

}  // namespace troupe::data
