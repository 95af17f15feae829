#include "configs/option_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/index.h"
#include "configs/edit_distance.h"
#include "configs/option_text.h"
#include "configs/other_names.h"

namespace troupe::configs {
namespace {

template <class T>
std::optional<T> parse_number(const std::string& text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// How a value that looks like one of another type should be written: "; write 1000".
std::string write_instead(std::string_view written) { return fmt::format("; write {}", written); }

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string flag_hint(const std::string& text) {
  const std::string word = lower_case(text);
  if (word == "true" || word == "yes" || word == "on" || word == "1") return write_instead("true");
  if (word == "false" || word == "no" || word == "off" || word == "0") return write_instead("false");
  return "";
}

/// For "1e3", 1_000 and "100", which stand for whole numbers.
std::string integer_hint(const YamlNode& node) {
  std::string text = node.text;
  std::erase_if(text, [](char c) { return c == '_' || c == ',' || c == ' '; });
  const auto number = parse_number<double>(text);
  constexpr double kMost = 9e15;  // exact
  if (!number || std::trunc(*number) != *number || std::fabs(*number) > kMost) return "";
  const std::string plain = fmt::format("{}", static_cast<std::int64_t>(*number));
  if (!node.quoted && plain == node.text) return "";  // out of range
  return node.quoted && plain == node.text ? write_instead(plain + ", without quotes") : write_instead(plain);
}

constexpr std::size_t kMaximumItems = 64;  // of a list, or named

bool is_scalar(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.is_null(); }

}  // namespace

OptionReader::OptionReader(const YamlNode& root, std::vector<std::string> all_keys)
    : all_keys_(std::move(all_keys)) {
  const bool usable = root.kind == YamlNode::Kind::kMap;
  if (!usable && !root.is_null())
    report(root, fmt::format("expected groups of options, found {}", root.to_string()));
  scopes_.push_back({usable ? &root : nullptr, "", {}});
}

std::vector<Problem> OptionReader::take_problems() {
  report_unknown_keys(scopes_.front());
  return std::move(problems_);
}

std::string OptionReader::path_of(std::string_view name) const {
  const std::string& path = scopes_.back().path;
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

const YamlNode* OptionReader::take(std::string_view name) {
  Scope& scope = scopes_.back();
  scope.known.emplace_back(name);
  return scope.node == nullptr ? nullptr : scope.node->find(name);
}

void OptionReader::report(const YamlNode& node, std::string message) {
  problems_.push_back({node.place, std::move(message)});
  has_wrong_values_ = true;
}

void OptionReader::wrong(const YamlNode& node, std::string_view name, std::string_view expected,
                         const std::string& advice) {
  report(node, fmt::format("{} must be {}, found {}{}", path_of(name), expected, node.to_string(), advice));
}

void OptionReader::flag(std::string_view name, bool& value, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  // `yes`, `on` and "true" are texts, as in YAML 1.2: to guess would hide mistakes.
  const bool plain = is_scalar(*node) && !node->quoted;
  if (!plain || (node->text != "true" && node->text != "false"))
    return wrong(*node, name, "true or false", flag_hint(node->text));
  value = node->text == "true";
}

std::optional<std::int64_t> OptionReader::read_integer(const YamlNode& node, std::string_view name,
                                                       IntegerRange range, std::string_view also) {
  const auto value = is_scalar(node) && !node.quoted ? parse_number<std::int64_t>(node.text) : std::nullopt;
  if (value && *value >= range.low && *value <= range.high) return value;
  wrong(node, name, integer_kind(range) + std::string(also), is_scalar(node) ? integer_hint(node) : "");
  return std::nullopt;
}

std::optional<double> OptionReader::read_real(const YamlNode& node, std::string_view name, RealRange range) {
  const auto value = is_scalar(node) && !node.quoted ? parse_number<double>(node.text) : std::nullopt;
  if (value && std::isfinite(*value) && *value >= range.low && *value <= range.high) return value;
  const bool is_quoted_number = node.quoted && parse_number<double>(node.text);
  wrong(node, name, real_kind(range), is_quoted_number ? write_instead(node.text + ", without quotes") : "");
  return std::nullopt;
}

std::optional<std::string> OptionReader::read_text(const YamlNode& node, std::string_view name,
                                                   std::string_view expected) {
  if (is_scalar(node)) return node.text;
  if (node.kind == YamlNode::Kind::kScalar && node.quoted) return node.text;
  wrong(node, name, expected);
  return std::nullopt;
}

void OptionReader::integer(std::string_view name, std::int64_t& value, IntegerRange range, std::string_view) {
  const YamlNode* node = take(name);
  if (node != nullptr) value = read_integer(*node, name, range, "").value_or(value);
}

void OptionReader::real(std::string_view name, double& value, RealRange range, std::string_view) {
  const YamlNode* node = take(name);
  if (node != nullptr) value = read_real(*node, name, range).value_or(value);
}

void OptionReader::text(std::string_view name, std::string& value, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (auto read = read_text(*node, name, "text")) value = std::move(*read);
}

void OptionReader::optional_integer(std::string_view name, std::optional<std::int64_t>& value,
                                    std::string_view absent, IntegerRange range, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  const bool is_absent =
      absent == "null" ? node->is_null() : is_scalar(*node) && !node->quoted && node->text == absent;
  if (is_absent) {
    value.reset();
  } else if (const auto read = read_integer(*node, name, range, fmt::format(" or {}", absent))) {
    value = read;
  }
}

void OptionReader::optional_text(std::string_view name, std::optional<std::string>& value, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->is_null()) {
    value.reset();
  } else if (auto read = read_text(*node, name, "text or null")) {
    value = std::move(read);
  }
}

void OptionReader::schedule(std::string_view name, Schedule& value, RealRange range, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kMap) {
    if (is_scalar(*node)) {
      if (const auto constant = read_real(*node, name, range)) value = *constant;
      return;
    }
    return wrong(*node, name, "a number, or {from: …, to: …}");
  }
  const std::string path = path_of(name);
  if (node->find("from") == nullptr || node->find("to") == nullptr)
    report(*node, fmt::format("{} needs both from and to", path));
  inside(node, path, [&] {
    real("from", value.from, range, "");
    real("to", value.to, range, "");
  });
}

void OptionReader::reals(std::string_view name, std::vector<double>& value, std::size_t count,
                         RealRange range, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kList || node->items.size() != count)
    return wrong(*node, name, fmt::format("a list of {} numbers", count));
  // All or none, so that a mistake leaves no mixture of the default and the file.
  std::vector<double> read;
  for (const YamlNode& item : node->items)
    if (const auto number = read_real(item, name, range)) read.push_back(*number);
  if (read.size() == count) value = std::move(read);
}

void OptionReader::texts(std::string_view name, std::vector<std::string>& value, std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kList) return wrong(*node, name, "a list of texts");
  std::vector<std::string> read;
  for (const YamlNode& item : node->items)
    if (auto text = read_text(item, name, "a list of texts")) read.push_back(std::move(*text));
  if (read.size() == node->items.size()) value = std::move(read);
}

void OptionReader::real_map(std::string_view name, std::map<std::string, double>& value, RealRange range,
                            std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->is_null()) return value.clear();
  if (node->kind != YamlNode::Kind::kMap) return wrong(*node, name, "a group of names and numbers");
  std::map<std::string, double> read;
  for (const YamlNode::Entry& entry : node->entries) {
    const auto number = read_real(entry.value, fmt::format("{}.{}", name, entry.name), range);
    if (number) read.emplace(entry.name, *number);
  }
  if (read.size() == node->entries.size()) value = std::move(read);
}

void OptionReader::text_map(std::string_view name, std::map<std::string, std::string>& value,
                            std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->is_null()) return value.clear();
  if (node->kind != YamlNode::Kind::kMap) return wrong(*node, name, "a group of names and texts");
  std::map<std::string, std::string> read;
  for (const YamlNode::Entry& entry : node->entries) {
    auto text = read_text(entry.value, fmt::format("{}.{}", name, entry.name), "text");
    if (text) read.emplace(entry.name, std::move(*text));
  }
  if (read.size() == node->entries.size()) value = std::move(read);
}

void OptionReader::choice_index(std::string_view name, std::size_t& value,
                                std::span<const std::string_view> names, std::optional<ChoiceFlags> flags,
                                std::string_view) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (flags && is_scalar(*node) && !node->quoted && (node->text == "true" || node->text == "false")) {
    value = node->text == "true" ? flags->when_true : flags->when_false;
    return;
  }
  const auto found = is_scalar(*node) ? std::ranges::find(names, node->text) : names.end();
  if (found != names.end()) {
    value = at(found - names.begin());
    return;
  }
  std::string expected = choice_kind(names);
  if (is_scalar(*node)) {
    const std::string meant = nearest(node->text, {names.begin(), names.end()});
    if (!meant.empty() && names.size() > 1)
      return wrong(*node, name, expected + fmt::format(" (perhaps {})", meant));
  }
  wrong(*node, name, expected);
}

void OptionReader::inside(const YamlNode* node, std::string path, const std::function<void()>& describe) {
  scopes_.push_back({node, std::move(path), {}});
  describe();
  report_unknown_keys(scopes_.back());
  scopes_.pop_back();
}

void OptionReader::section(std::string_view name, std::string_view, const std::function<void()>& describe) {
  const YamlNode* node = take(name);
  if (node != nullptr && node->kind != YamlNode::Kind::kMap) {
    if (!node->is_null()) wrong(*node, name, "a group of options");
    node = nullptr;
  }
  inside(node, path_of(name), describe);
}

void OptionReader::list(std::string_view name, std::string_view, std::size_t,
                        const std::function<void(std::size_t)>& resize,
                        const std::function<void(std::size_t)>& describe) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kList || node->items.size() > kMaximumItems)
    return wrong(*node, name, fmt::format("a list of at most {} groups", kMaximumItems));
  resize(0);  // elements of the default are not mixed with those of the file
  resize(node->items.size());
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const YamlNode& item = node->items[i];
    const std::string element = fmt::format("{}[{}]", name, i);
    if (item.kind != YamlNode::Kind::kMap) {
      wrong(item, element, "a group of options");
      continue;
    }
    inside(&item, path_of(element), [&] { describe(i); });
  }
}

void OptionReader::named_groups(std::string_view name, std::string_view, const std::vector<std::string>&,
                                const std::function<void(const std::vector<std::string>&)>& rename,
                                const std::function<void(std::size_t)>& describe) {
  const YamlNode* node = take(name);
  if (node == nullptr) return;
  if (node->is_null()) return rename({});
  if (node->kind != YamlNode::Kind::kMap || node->entries.size() > kMaximumItems)
    return wrong(*node, name, fmt::format("at most {} groups by names", kMaximumItems));
  std::vector<std::string> names;
  for (const YamlNode::Entry& entry : node->entries) names.push_back(entry.name);
  rename(names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const YamlNode& value = node->entries[i].value;
    const std::string element = fmt::format("{}.{}", name, names[i]);
    if (value.kind != YamlNode::Kind::kMap && !value.is_null()) {
      wrong(value, element, "a group of options");
      continue;
    }
    inside(value.is_null() ? nullptr : &value, path_of(element), [&] { describe(i); });
  }
}

bool OptionReader::is_null(std::string_view name) const {
  const YamlNode* group = scopes_.back().node;
  const YamlNode* node = group == nullptr ? nullptr : group->find(name);
  return node != nullptr && node->is_null();
}

void OptionReader::report_unknown_keys(const Scope& scope) {
  if (scope.node == nullptr) return;
  const std::string prefix = scope.path.empty() ? "" : scope.path + ".";
  for (const YamlNode::Entry& entry : scope.node->entries) {
    if (std::ranges::find(scope.known, entry.name) != scope.known.end()) continue;
    problems_.push_back({entry.place,
                         fmt::format("unknown key {}{}{}", prefix, entry.name, hint_for(entry.name, scope)),
                         true});
  }
}

std::string OptionReader::hint_for(const std::string& name, const Scope& scope) const {
  if (const auto option = option_of_other_name(name); !option.empty())
    return fmt::format("; it is called {} here", option);
  if (scope.known.empty()) return fmt::format("; {} has no options: {{}} is its only value", scope.path);
  const std::string meant = nearest(name, scope.known);
  const std::string prefix = scope.path.empty() ? "" : scope.path + ".";
  if (!meant.empty()) return fmt::format("; did you mean {}{}?", prefix, meant);
  const auto elsewhere =
      std::ranges::find_if(all_keys_, [&](const std::string& key) { return key.ends_with("." + name); });
  return elsewhere == all_keys_.end() ? "" : fmt::format("; did you mean {}?", *elsewhere);
}

}  // namespace troupe::configs
