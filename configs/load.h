#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "configs/option_reader.h"
#include "configs/rules.h"
#include "configs/run_config.h"

namespace troupe::configs {

/// Mistakes in a configuration: what() has one a line, with its place.
class ConfigError : public Error {
 public:
  explicit ConfigError(std::vector<Problem> problems);
  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// What is refused besides the rules, asked for once all values are sound: because of a corpus, of a machine.
using Check = std::function<std::vector<RuleProblem>(const RunConfig&)>;

/// The configuration in a file, with overrides "a.b.c=value" (YAML) in their order. Throws kConfig
/// when the file cannot be read, and with every mistake in it at once, one a line:
/// "file:line:column: message" or "--set a.b.c=value: message".
[[nodiscard]] RunConfig load_config(const std::filesystem::path& path, std::span<const std::string> overrides,
                                    const Check& more = nullptr);

/// As load_config, for a text that came from `source`.
[[nodiscard]] RunConfig parse_config(std::string_view text, const std::string& source,
                                     std::span<const std::string> overrides, const Check& more = nullptr);

/// The same for what a run recorded of itself, perhaps with an earlier version of this program: options that
/// are no more are passed over with a warning, and what has another name now keeps its meaning.
[[nodiscard]] RunConfig parse_record(std::string_view text, const std::string& source,
                                     std::span<const std::string> overrides = {},
                                     const Check& more = nullptr);

/// The configuration with all values as YAML; loading it gives the same configuration.
[[nodiscard]] std::string dump(const RunConfig& config);

}  // namespace troupe::configs
