#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::data {

/// The JSON object that an untrusted line is. None: it is another thing, or nested deeper than lines of text
/// are.
[[nodiscard]] std::optional<nlohmann::json> parse_object(std::string_view line);

/// The text at a path of members ("meta.source" goes into an object), or nullptr.
[[nodiscard]] const std::string* text_at(const nlohmann::json& object, std::string_view path);

}  // namespace troupe::data
