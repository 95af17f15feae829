#include "data/corpus/yaml_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace troupe::data::detail {
namespace {

/// The whole of `text` as a number, or nothing.
template <class Number>
std::optional<Number> parse(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

YamlMap::YamlMap(YAML::Node node, std::filesystem::path file, std::string_view what)
    : node_(std::move(node)), file_(std::move(file)), what_(what) {
  if (!node_.IsMap()) throw error_at(node_.Mark(), fmt::format("{} is not a map of keys to values", what_));
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar())
      throw error_at(entry.first.Mark(), fmt::format("a key of {} is not a word", what_));
    if (!seen.insert(entry.first.Scalar()).second) {
      throw error_at(entry.first.Mark(), fmt::format("'{}' is given twice", entry.first.Scalar()));
    }
  }
}

std::string YamlMap::text(std::string_view key) const { return scalar(require(key), key); }

std::vector<std::string> YamlMap::texts(std::string_view key) const {
  const YAML::Node list = require(key);
  if (!list.IsSequence() || list.size() == 0)
    throw error(key, fmt::format("'{}' is not a list of texts", key));
  std::vector<std::string> result;
  for (const auto& item : list) result.push_back(scalar(item, key));
  return result;
}

std::int64_t YamlMap::integer(std::string_view key, std::int64_t fallback, IntegerRange range) const {
  const auto node = find(key);
  if (!node) return fallback;
  const auto value = parse<std::int64_t>(scalar(*node, key));
  if (!value || *value < range.low || *value > range.high) {
    throw error(key, fmt::format("'{}' is an integer from {} to {}", key, range.low, range.high));
  }
  return *value;
}

double YamlMap::real(std::string_view key, double fallback, RealRange range) const {
  const auto node = find(key);
  if (!node) return fallback;
  const auto value = parse<double>(scalar(*node, key));
  if (!value || !(*value >= range.low && *value <= range.high)) {
    throw error(key, fmt::format("'{}' is a number from {} to {}", key, range.low, range.high));
  }
  return *value;
}

std::vector<YamlMap> YamlMap::maps(std::string_view key, std::string_view what) const {
  const YAML::Node list = require(key);
  if (!list.IsSequence() || list.size() == 0)
    throw error(key, fmt::format("'{}' is not a list of maps", key));
  std::vector<YamlMap> result;
  for (const auto& item : list) result.emplace_back(item, file_, what);
  return result;
}

void YamlMap::allow_only(std::initializer_list<std::string_view> known) const {
  for (const auto& entry : node_) {
    const std::string& key = entry.first.Scalar();
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    throw error_at(entry.first.Mark(),
                   fmt::format("unknown key '{}' in {}; it has {}", key, what_, fmt::join(known, ", ")));
  }
}

Error YamlMap::error(std::string_view key, const std::string& message) const {
  const auto node = find(key);
  return error_at(node ? node->Mark() : node_.Mark(), message);
}

std::optional<YAML::Node> YamlMap::find(std::string_view key) const {
  for (const auto& entry : node_) {
    if (entry.first.Scalar() == key) return entry.second;
  }
  return std::nullopt;
}

YAML::Node YamlMap::require(std::string_view key) const {
  const auto node = find(key);
  if (!node) throw error_at(node_.Mark(), fmt::format("{} lacks the key '{}'", what_, key));
  return *node;
}

Error YamlMap::error_at(const YAML::Mark& mark, const std::string& message) const {
  return Error(ErrorCode::kConfig, "{}:{}:{}: {}", file_.string(), mark.line + 1, mark.column + 1, message);
}

std::string YamlMap::scalar(const YAML::Node& node, std::string_view key) const {
  if (!node.IsScalar() || node.Scalar().empty()) {
    throw error_at(node.Mark(), fmt::format("'{}' needs a value that is a word or number", key));
  }
  return node.Scalar();
}

}  // namespace troupe::data::detail
