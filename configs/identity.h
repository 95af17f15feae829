#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "configs/run_config.h"

namespace troupe::configs {

/// Whether an option is part of what a run means: its bits depend on it. Where and how a run is computed,
/// watched and saved is not, nor where the corpus lies: what is in it has an identity of its own.
[[nodiscard]] bool is_meaning(std::string_view key);

/// SHA-256, in hexadecimal, over the options that are part of the run's meaning.
[[nodiscard]] std::string config_hash(const RunConfig& config);

struct Difference {
  std::string key;
  std::string first;  // value in a, as YAML
  std::string second;
  bool operator==(const Difference&) const = default;
};

/// Options of the run's meaning that differ: a run cannot go on with another value.
[[nodiscard]] std::vector<Difference> differences(const RunConfig& a, const RunConfig& b);

}  // namespace troupe::configs
