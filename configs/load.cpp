#include "configs/load.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/index.h"
#include "base/log.h"
#include "base/yaml_tree.h"
#include "configs/option_list.h"
#include "configs/option_reader.h"
#include "configs/rules.h"

namespace troupe::configs {
namespace {

/// The parts of "a.b.c"; none when a part is empty.
std::vector<std::string> split_key(std::string_view key) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = key.find('.');
    parts.emplace_back(key.substr(0, dot));
    if (parts.back().empty()) return {};
    if (dot == std::string_view::npos) return parts;
    key.remove_prefix(dot + 1);
  }
}

/// The value under `name` of a map, made when absent. What is no map becomes one.
YamlNode& child(YamlNode& node, const std::string& name, const YamlPlace& place) {
  if (node.kind != YamlNode::Kind::kMap) {
    node = YamlNode{};
    node.kind = YamlNode::Kind::kMap;
    node.place = place;
  }
  if (YamlNode* known = node.find(name)) return *known;
  node.entries.push_back({name, place, YamlNode{}});
  node.entries.back().value.place = place;
  return node.entries.back().value;
}

void apply_override(YamlNode& root, const std::string& setting) {
  const YamlPlace place{"--set " + setting};
  const std::size_t equals = setting.find('=');
  const auto parts =
      equals == std::string::npos ? std::vector<std::string>{} : split_key(setting.substr(0, equals));
  if (parts.empty()) throw YamlError(place, "expected KEY=VALUE, for example model.moe.experts=32");
  if (parts.size() > at(kMaximumYamlDepth)) throw YamlError(place, "a key of too many parts");
  YamlNode value = parse_yaml_value(setting.substr(equals + 1), place);
  YamlNode* node = &root;
  for (const std::string& part : parts) node = &child(*node, part, place);
  *node = std::move(value);
}

/// Where the file says `key`, or the group it belongs to, or the file itself.
YamlPlace place_of(const YamlNode& root, const std::string& key, const std::string& source) {
  YamlPlace place{source};
  const YamlNode* node = &root;
  for (const std::string& part : split_key(key)) {
    node = node->find(part);
    if (node == nullptr) break;
    place = node->place;
  }
  return place;
}

bool before(const Problem& a, const Problem& b) {
  const bool a_is_override = a.place.source.starts_with("--set");
  const bool b_is_override = b.place.source.starts_with("--set");
  if (a_is_override != b_is_override) return b_is_override;
  return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
}

std::string one_a_line(const std::vector<Problem>& problems) {
  std::string lines;
  for (const Problem& problem : problems) {
    if (!lines.empty()) lines += '\n';
    lines += problem.place.to_string() + ": " + problem.message;
  }
  return lines;
}

/// First line of what this version writes. Records without it are older: see rename_tanh_forms().
constexpr std::string_view kRecordMark = "# troupe configuration, version 2";

std::string read_text(const std::filesystem::path& path) {
  try {
    return read_file(path, kMaximumYamlBytes);
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, error.what());  // the user named it
  }
}

/// An option of an earlier version that is no more.
bool is_of_the_past(const Problem& problem) {
  return problem.is_unknown_key && !problem.place.source.starts_with("--set");
}

void drop_past(std::vector<Problem>& problems) {
  for (const Problem& problem : problems) {
    if (is_of_the_past(problem))
      log::warn("{}: {}: it is passed over, since this version has no such option", problem.place.to_string(),
                problem.message);
  }
  std::erase_if(problems, is_of_the_past);
}

/// What earlier versions called gelu and geglu were the forms by tanh.
void rename_tanh_forms(YamlNode& root) {
  YamlNode* node = &root;
  for (const char* name : {"model", "ffn", "activation"}) {
    node = node->kind == YamlNode::Kind::kMap ? node->find(name) : nullptr;
    if (node == nullptr) return;
  }
  if (node->text != "gelu" && node->text != "geglu") return;
  log::warn("{}: {} of an earlier version is now called {}_tanh", node->place.to_string(), node->text,
            node->text);
  node->text += "_tanh";
}

RunConfig parse(std::string_view text, const std::string& source, std::span<const std::string> overrides,
                const Check& more, bool is_record) {
  YamlNode root = parse_yaml(text, source);
  if (is_record && !text.starts_with(kRecordMark)) rename_tanh_forms(root);
  for (const std::string& setting : overrides) apply_override(root, setting);
  RunConfig config;
  OptionReader reader(root, all_keys());
  describe(reader, config);
  const bool values_usable = !reader.has_wrong_values();
  std::vector<Problem> problems = reader.take_problems();
  if (is_record) drop_past(problems);
  const auto add = [&](const std::vector<RuleProblem>& found) {
    for (const RuleProblem& problem : found)
      problems.push_back({place_of(root, problem.key, source), problem.message});
  };
  if (values_usable) add(validate(config));  // else the rules would speak of values that nobody wrote
  if (problems.empty() && more) add(more(config));
  if (problems.empty()) return config;
  std::ranges::stable_sort(problems, before);
  throw ConfigError(std::move(problems));
}

}  // namespace

ConfigError::ConfigError(std::vector<Problem> problems)
    : Error(ErrorCode::kConfig, one_a_line(problems)), problems_(std::move(problems)) {}

RunConfig parse_config(std::string_view text, const std::string& source,
                       std::span<const std::string> overrides, const Check& more) {
  return parse(text, source, overrides, more, /*is_record=*/false);
}

RunConfig parse_record(std::string_view text, const std::string& source,
                       std::span<const std::string> overrides, const Check& more) {
  return parse(text, source, overrides, more, /*is_record=*/true);
}

RunConfig load_config(const std::filesystem::path& path, std::span<const std::string> overrides,
                      const Check& more) {
  return parse_config(read_text(path), path.string(), overrides, more);
}

std::string dump(const RunConfig& config) {
  RunConfig copy = config;
  std::string yaml = std::string(kRecordMark) + "\n";
  const auto options = list_options([&](Fields& fields) { describe(fields, copy); });
  for (std::size_t i = 0; i < options.size(); ++i) {
    const OptionInfo& option = options[i];
    if (option.kind == OptionInfo::Kind::kElement) continue;
    const auto depth = at(std::ranges::count(option.key, '.'));
    const bool is_group = option.kind == OptionInfo::Kind::kGroup;
    const bool is_empty =
        is_group && (i + 1 == options.size() || !options[i + 1].key.starts_with(option.key + "."));
    yaml += fmt::format("{}{}:{}{}\n", std::string(2 * depth, ' '), option.name,
                        is_group && !is_empty ? "" : " ", is_empty ? "{}" : option.value);
  }
  return yaml;
}

}  // namespace troupe::configs
