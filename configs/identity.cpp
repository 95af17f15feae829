#include "configs/identity.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/sha256.h"
#include "configs/option_list.h"

namespace troupe::configs {
namespace {

/// Options of the meaning, with their values.
std::vector<OptionInfo> meaning(RunConfig config) {
  auto options = list_options([&](Fields& fields) { describe(fields, config); });
  std::erase_if(options, [](const OptionInfo& option) {
    return option.kind != OptionInfo::Kind::kOption || !is_meaning(option.key);
  });
  return options;
}

}  // namespace

bool is_meaning(std::string_view key) {
  constexpr std::array<std::string_view, 9> kGroups{"parallel",  "control",    "launch",
                                                    "dashboard", "metrics",    "checkpoint",
                                                    "sampling",  "evaluation", "elastic"};
  constexpr std::array<std::string_view, 6> kOptions{
      "run.stop_after", "run.dir", "run.name", "run.max_roll_backs", "run.record_routing", "data.corpus"};
  if (key == "parallel.dispatch.dtype") return true;  // bf16 rounds
  const std::string_view group = key.substr(0, key.find('.'));
  return std::ranges::find(kGroups, group) == kGroups.end() &&
         std::ranges::find(kOptions, key) == kOptions.end();
}

std::string config_hash(const RunConfig& config) {
  std::string text;
  for (const OptionInfo& option : meaning(config)) text += option.key + ": " + option.value + "\n";
  return sha256(text);
}

std::vector<Difference> differences(const RunConfig& a, const RunConfig& b) {
  const auto first = meaning(a);
  const auto second = meaning(b);
  TROUPE_CHECK(first.size() == second.size(), "two configurations of {} and {} options", first.size(),
               second.size());
  std::vector<Difference> found;
  for (std::size_t i = 0; i < first.size(); ++i)
    if (first[i].value != second[i].value) found.push_back({first[i].key, first[i].value, second[i].value});
  return found;
}

}  // namespace troupe::configs
