#include "data/corpus/yaml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <optional>

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

const std::string& scalar(const YamlNode& node, std::string_view key) {
  if (node.kind != YamlNode::Kind::kScalar || node.is_null() || node.text.empty())
    throw YamlError(node.place, fmt::format("'{}' needs a value that is a word or number", key));
  return node.text;
}

}  // namespace

YamlMap::YamlMap(const YamlNode& node, std::string_view what) : node_(node), what_(what) {
  if (node_.kind != YamlNode::Kind::kMap)
    throw YamlError(node_.place, fmt::format("{} is not a map of keys to values", what_));
}

std::string YamlMap::text(std::string_view key) const { return scalar(require(key), key); }

std::vector<std::string> YamlMap::texts(std::string_view key) const {
  std::vector<std::string> result;
  for (const YamlNode& item : require_list(key, "texts").items) result.push_back(scalar(item, key));
  return result;
}

std::int64_t YamlMap::integer(std::string_view key, std::int64_t fallback, IntegerRange range) const {
  const YamlNode* node = node_.find(key);
  if (node == nullptr) return fallback;
  const auto value = parse<std::int64_t>(scalar(*node, key));
  if (!value || *value < range.low || *value > range.high) {
    throw error(key, fmt::format("'{}' is an integer from {} to {}", key, range.low, range.high));
  }
  return *value;
}

double YamlMap::real(std::string_view key, double fallback, RealRange range) const {
  const YamlNode* node = node_.find(key);
  if (node == nullptr) return fallback;
  const auto value = parse<double>(scalar(*node, key));
  if (!value || !(*value >= range.low && *value <= range.high)) {
    throw error(key, fmt::format("'{}' is a number from {} to {}", key, range.low, range.high));
  }
  return *value;
}

std::map<std::string, double> YamlMap::reals(std::string_view key, RealRange range) const {
  std::map<std::string, double> result;
  if (!has(key)) return result;
  const YamlNode& node = require(key);
  const YamlMap numbers(node, fmt::format("'{}'", key));
  for (const YamlNode::Entry& entry : node.entries) result[entry.name] = numbers.real(entry.name, 0.0, range);
  return result;
}

std::vector<YamlMap> YamlMap::maps(std::string_view key, std::string_view what) const {
  std::vector<YamlMap> result;
  for (const YamlNode& item : require_list(key, "maps").items) result.emplace_back(item, what);
  return result;
}

void YamlMap::allow_only(std::initializer_list<std::string_view> known) const {
  for (const YamlNode::Entry& entry : node_.entries) {
    if (std::ranges::find(known, entry.name) != known.end()) continue;
    throw YamlError(entry.place, fmt::format("unknown key '{}' in {}; it has {}", entry.name, what_,
                                             fmt::join(known, ", ")));
  }
}

YamlError YamlMap::error(std::string_view key, const std::string& message) const {
  const YamlNode* node = node_.find(key);
  return {node == nullptr ? node_.place : node->place, message};
}

const YamlNode& YamlMap::require(std::string_view key) const {
  const YamlNode* node = node_.find(key);
  if (node == nullptr) throw YamlError(node_.place, fmt::format("{} lacks the key '{}'", what_, key));
  return *node;
}

const YamlNode& YamlMap::require_list(std::string_view key, std::string_view of) const {
  const YamlNode& list = require(key);
  if (list.kind != YamlNode::Kind::kList || list.items.empty())
    throw YamlError(list.place, fmt::format("'{}' is not a list of {}", key, of));
  return list;
}

}  // namespace troupe::data::detail
