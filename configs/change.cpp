#include "configs/change.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "configs/edit_distance.h"
#include "configs/option_list.h"

namespace troupe::configs {
namespace {

/// Of a key or a whole group; the longest that fits decides. An empty reason: it may change.
struct Rule {
  std::string_view prefix;
  std::string_view reason;
};

constexpr std::string_view kShape = "the saved weights and moments have its shape, or mean something by it";
constexpr std::string_view kBegin = "it only decided how the run began";
constexpr std::string_view kOrder = "the place in the data would mean other text than was read so far";

constexpr std::array kRules{
    Rule{"run", ""},
    Rule{"run.seed", "initial weights and the order of the data follow from it"},
    Rule{"init_from", kBegin},
    Rule{"data", kOrder},
    Rule{"data.document_mask", ""},
    Rule{"model", kShape},
    Rule{"model.init", kBegin},
    Rule{"model.loss", ""},
    Rule{"model.moe.aux_loss", ""},
    Rule{"model.moe.balancer", ""},
    Rule{"model.moe.balancer.kind", "the saved balance state is of that kind"},
    Rule{"model.moe.capacity", ""},
    Rule{"model.moe.router.jitter", ""},
    Rule{"model.moe.router.z_loss", ""},
    Rule{"model.moe.router.init_scale", kBegin},
    Rule{"objective", "the weights learned by it, and dpo compares with how the run began"},
    Rule{"objective.beta", ""},
    Rule{"batch", ""},
    Rule{"parallel", ""},
    Rule{"optimizer", ""},
    Rule{"optimizer.kind", "the saved moments are that optimizer's"},
    Rule{"schedule", ""},
};

/// Whether `key` is `group` or below it.
bool belongs_to(std::string_view key, std::string_view group) {
  if (!key.starts_with(group)) return false;
  return key.size() == group.size() || key[group.size()] == '.' || key[group.size()] == '[';
}

[[noreturn]] void refuse(std::string_view key, const std::string& reason) {
  throw Error(ErrorCode::kConfig, "--allow-change {}: {}", key, reason);
}

void check_key(const std::string& key) {
  static const std::vector<std::string> kKeys = all_keys();
  if (std::ranges::find(kKeys, key) == kKeys.end()) {
    const std::string meant = nearest(key, kKeys);
    refuse(key, meant.empty() ? "there is no such option; `troupe config` lists all"
                              : fmt::format("there is no such option; did you mean {}?", meant));
  }
  if (!is_meaning(key)) refuse(key, "it is no part of the run's meaning and may change without this");
  if (const auto reason = why_fixed(key); !reason.empty())
    refuse(key, fmt::format("it cannot change: {}", reason));
}

}  // namespace

std::string_view why_fixed(std::string_view key) {
  const Rule* best = nullptr;
  for (const Rule& rule : kRules) {
    if (!belongs_to(key, rule.prefix)) continue;
    if (best == nullptr || rule.prefix.size() > best->prefix.size()) best = &rule;
  }
  return best == nullptr ? "nothing is known that would make it safe" : best->reason;
}

bool AllowedChanges::include(std::string_view key) const {
  if (!why_fixed(key).empty()) return false;
  return all ||
         std::ranges::any_of(keys, [&](const std::string& allowed) { return belongs_to(key, allowed); });
}

AllowedChanges parse_allowed_changes(const std::vector<std::string>& lists) {
  AllowedChanges allowed;
  for (std::string_view list : lists) {
    while (!list.empty()) {
      const std::size_t comma = list.find(',');
      allowed.keys.emplace_back(list.substr(0, comma));
      check_key(allowed.keys.back());
      list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
    }
  }
  return allowed;
}

std::string refused_changes(const std::vector<Difference>& differences, const AllowedChanges& allowed) {
  std::string lines;
  std::string could;
  for (const Difference& difference : differences) {
    if (allowed.include(difference.key)) continue;
    const std::string_view reason = why_fixed(difference.key);
    lines += fmt::format("\n  {}: {} in the checkpoint, {} now{}{}", difference.key, difference.first,
                         difference.second, reason.empty() ? "" : "; it cannot change: ", reason);
    if (reason.empty()) could += (could.empty() ? "" : ",") + difference.key;
  }
  if (!could.empty()) lines += "\nto go on with the new values from here: --allow-change " + could;
  return lines;
}

}  // namespace troupe::configs
