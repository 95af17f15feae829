#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/chat/conversation.h"
#include "data/sources/faults.h"

namespace troupe::data {

/// Why a line is not taken.
struct WrongLine {
  Fault fault;
  std::string what;  // "message 2: its role 'human' is none of system, user, assistant"
};

/// Null: it has none.
[[nodiscard]] const nlohmann::json* member(const nlohmann::json& object, const char* name);
/// "there is no 'content'", "its 'content' is array instead of text"; empty: it is text.
[[nodiscard]] std::string no_text(const nlohmann::json& object, const char* name);
/// Names of the first members: "id, meta".
[[nodiscard]] std::string members_of(const nlohmann::json& object);

/// Reads a line's object, and the text of its domain_field where that is not empty, or says what is wrong.
/// Takes any bytes.
[[nodiscard]] std::optional<WrongLine> read_object(std::string_view line, nlohmann::json& object);
[[nodiscard]] std::optional<WrongLine> read_domain(const nlohmann::json& object,
                                                   const std::string& domain_field, std::string& domain);

/// Appends a list of {"role": …, "content": …}, or says what is wrong with it. name: of the list
[[nodiscard]] std::optional<WrongLine> take_messages(const nlohmann::json& list, const char* name,
                                                     std::vector<ChatMessage>& messages);

}  // namespace troupe::data
