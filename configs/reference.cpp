#include "configs/reference.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "configs/edit_distance.h"
#include "configs/option_list.h"
#include "configs/run_config.h"

namespace troupe::configs {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

Every option of a run. `troupe config --markdown` writes this page; `troupe config KEY` shows a part of it.
A file sets what differs from the defaults, `--set KEY=VALUE` on the command line sets one more, and
`troupe validate FILE` names every mistake with its place.
)";

std::vector<OptionInfo> all_options() {
  RunConfig config;
  return list_options([&](Fields& fields) { describe(fields, config); });
}

std::string section_markdown(const OptionInfo& group) {
  return fmt::format("\n## `{}`\n\n{}.\n\n| key | default | value | what it does |\n|---|---|---|---|\n",
                     group.key, group.help);
}

std::string row_markdown(const OptionInfo& option) {
  if (option.kind == OptionInfo::Kind::kGroup)
    return fmt::format("| **`{}`** | | | {} |\n", option.key, option.help);
  const std::string value = option.value.empty() ? "" : fmt::format("`{}`", option.value);
  return fmt::format("| `{}` | {} | {} | {} |\n", option.key, value, option.type, option.help);
}

std::string terminal_text(const OptionInfo& option) {
  if (option.kind == OptionInfo::Kind::kGroup) return fmt::format("{}\n    {}\n", option.key, option.help);
  return fmt::format("{} = {}\n    {} ({})\n", option.key, option.value, option.help, option.type);
}

/// `key` itself and everything below it; all when empty. Throws kConfig when there is none.
std::vector<OptionInfo> options_below(std::string_view key) {
  std::vector<OptionInfo> found;
  std::vector<std::string> keys;
  for (OptionInfo& option : all_options()) {
    keys.push_back(option.key);
    const bool below =
        option.key.starts_with(std::string(key) + ".") || option.key.starts_with(std::string(key) + "[");
    if (key.empty() || option.key == key || below) found.push_back(std::move(option));
  }
  if (!found.empty()) return found;
  const std::string meant = nearest(key, keys);
  throw Error(
      ErrorCode::kConfig, "there is no option {}{}", key,
      meant.empty() ? std::string("; `troupe config` lists all") : fmt::format("; did you mean {}?", meant));
}

}  // namespace

std::string document() {
  std::string page(kIntroduction);
  for (const OptionInfo& option : all_options()) {
    const bool is_section = option.kind == OptionInfo::Kind::kGroup && option.key == option.name;
    page += is_section ? section_markdown(option) : row_markdown(option);
  }
  return page;
}

std::string explain(std::string_view key) {
  std::string text;
  for (const OptionInfo& option : options_below(key)) text += terminal_text(option);
  return text;
}

std::string explain_as_json(std::string_view key) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const OptionInfo& option : options_below(key)) {
    nlohmann::ordered_json entry{{"key", option.key}};
    if (option.kind != OptionInfo::Kind::kGroup) {
      entry["default"] = option.value;
      entry["values"] = option.type;
    }
    entry["help"] = option.help;
    list.push_back(std::move(entry));
  }
  return list.dump(2) + "\n";
}

}  // namespace troupe::configs
