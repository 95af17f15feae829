#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "configs/run_config.h"

namespace troupe::configs {

/// The configuration in a file, with overrides "a.b.c=value" (YAML) in their order. Throws kConfig
/// when the file cannot be read, and with every mistake in it at once, one a line:
/// "file:line:column: message" or "--set a.b.c=value: message".
[[nodiscard]] RunConfig load_config(const std::filesystem::path& path,
                                    std::span<const std::string> overrides);

/// As load_config, for a text that came from `source`.
[[nodiscard]] RunConfig parse_config(std::string_view text, const std::string& source,
                                     std::span<const std::string> overrides);

/// The configuration with all values as YAML; loading it gives the same configuration.
[[nodiscard]] std::string dump(const RunConfig& config);

}  // namespace troupe::configs
