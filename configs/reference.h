#pragma once
#include <string>
#include <string_view>

namespace troupe::configs {

/// docs/reference/config.md: every option with its type, default and help.
[[nodiscard]] std::string document();

/// The same for people at a terminal: `key` itself, or everything below it; all when empty.
/// Throws kConfig, with a suggestion, when there is no such key.
[[nodiscard]] std::string explain(std::string_view key);

/// The same as one JSON list of {key, default, values, help}; groups have a key and help.
[[nodiscard]] std::string explain_as_json(std::string_view key);

}  // namespace troupe::configs
