#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fields.h"
#include "base/yaml_tree.h"

namespace troupe::data::detail {

/// A strict view of one YAML map, which must outlive it: what is asked for is there and of the right type,
/// and what is there was asked for. Errors are kConfig with file:line:column.
class YamlMap {
 public:
  /// Throws when `node` is not a map.
  YamlMap(const YamlNode& node, std::string_view what);

  [[nodiscard]] bool has(std::string_view key) const { return node_.find(key) != nullptr; }
  /// Not empty.
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t fallback, IntegerRange range) const;
  [[nodiscard]] double real(std::string_view key, double fallback, RealRange range) const;
  /// Of a map of names to numbers; empty without the key.
  [[nodiscard]] std::map<std::string, double> reals(std::string_view key, RealRange range) const;
  [[nodiscard]] std::vector<YamlMap> maps(std::string_view key, std::string_view what) const;
  /// Throws at a key that is not in `known`.
  void allow_only(std::initializer_list<std::string_view> known) const;

  [[nodiscard]] int line() const { return node_.place.line; }
  [[nodiscard]] YamlError error(std::string_view key, const std::string& message) const;

 private:
  [[nodiscard]] const YamlNode& require(std::string_view key) const;
  [[nodiscard]] const YamlNode& require_list(std::string_view key, std::string_view of) const;

  const YamlNode& node_;
  std::string what_;
};

}  // namespace troupe::data::detail
