#pragma once
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fields.h"

namespace troupe::data::detail {

/// A strict view of one YAML map: what is asked for is there and of the right type, and
/// what is there was asked for. Errors are kConfig with file:line:column.
class YamlMap {
 public:
  /// Throws when `node` is not a map, or repeats a key.
  YamlMap(YAML::Node node, std::filesystem::path file, std::string_view what);

  [[nodiscard]] bool has(std::string_view key) const { return find(key).has_value(); }
  /// Not empty.
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback, IntegerRange range) const;
  [[nodiscard]] double real(std::string_view key, double fallback, RealRange range) const;
  [[nodiscard]] std::vector<YamlMap> maps(std::string_view key, std::string_view what) const;
  /// Throws at a key that is not in `known`.
  void allow_only(std::initializer_list<std::string_view> known) const;

  [[nodiscard]] int line() const { return node_.Mark().line + 1; }
  [[nodiscard]] Error error(std::string_view key, const std::string& message) const;

 private:
  [[nodiscard]] std::optional<YAML::Node> find(std::string_view key) const;
  [[nodiscard]] YAML::Node require(std::string_view key) const;
  [[nodiscard]] Error error_at(const YAML::Mark& mark, const std::string& message) const;
  [[nodiscard]] std::string scalar(const YAML::Node& node, std::string_view key) const;

  YAML::Node node_;
  std::filesystem::path file_;
  std::string what_;
};

}  // namespace troupe::data::detail
