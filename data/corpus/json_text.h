#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace troupe::data {

/// The text at a path of members ("meta.source" goes into an object), or nullptr.
[[nodiscard]] const std::string* text_at(const nlohmann::json& object, std::string_view path);

}  // namespace troupe::data
