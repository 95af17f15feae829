#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace troupe {

/// Where something was written: a file's line and column, from 1, or a `--set` of the command line.
struct YamlPlace {
  std::string source;
  int line = 0;  // 0: the source as a whole
  int column = 0;

  [[nodiscard]] std::string to_string() const;
};

/// One YAML value with its place. A null is a scalar that is not quoted.
struct YamlNode {
  enum class Kind { kScalar, kMap, kList };

  struct Entry;

  Kind kind = Kind::kScalar;
  YamlPlace place;
  std::string text;  // of a scalar
  bool quoted = false;
  std::vector<Entry> entries;   // of a map, in the order of the file
  std::vector<YamlNode> items;  // of a list

  [[nodiscard]] bool is_null() const;
  /// What a reader of the message would call it: "a list", "'text'", …
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] YamlNode* find(std::string_view name);
  [[nodiscard]] const YamlNode* find(std::string_view name) const;
};

struct YamlNode::Entry {
  std::string name;
  YamlPlace place;
  YamlNode value;
};

/// What one YAML text may hold at most.
inline constexpr std::size_t kMaximumYamlBytes = std::size_t{1} << 20;
inline constexpr int kMaximumYamlDepth = 32;
inline constexpr std::size_t kMaximumYamlNodes = 20'000;  // each use of an anchor counts what it stands for

/// A mistake in a text, with its place.
class YamlError : public Error {
 public:
  YamlError(const YamlPlace& place, const std::string& message)
      : Error(ErrorCode::kConfig, "{}: {}", place.to_string(), message) {}
};

/// The only document of a YAML text; an empty map when there is none. Throws YamlError on syntax,
/// on keys that appear twice or are not plain names, and beyond the limits above.
[[nodiscard]] YamlNode parse_yaml(std::string_view text, const std::string& source);

/// A single value, as on a command line; null when there is none. Everything in it has this place.
[[nodiscard]] YamlNode parse_yaml_value(std::string_view text, const YamlPlace& place);

}  // namespace troupe
