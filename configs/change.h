#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "configs/identity.h"
#include "configs/run_config.h"

namespace troupe::configs {

/// Why a run that goes on cannot have another value of an option of its meaning; empty when it can, because
/// everything that was computed so far stays true: another learning rate, more steps.
[[nodiscard]] std::string_view why_fixed(std::string_view key);

/// What the run's owner lets change: keys, or groups ("schedule") with all below them.
struct AllowedChanges {
  std::vector<std::string> keys;
  bool all = false;  // of all options that can change
  [[nodiscard]] static AllowedChanges everything() { return {.keys = {}, .all = true}; }
  [[nodiscard]] bool include(std::string_view key) const;
};

/// The keys of "KEY,KEY…", each from a --allow-change. Throws kConfig for one that does not exist (with a
/// suggestion), is not part of the run's meaning (it needs no leave) or can never change (with the reason).
[[nodiscard]] AllowedChanges parse_allowed_changes(const std::vector<std::string>& lists);

/// The differences that stop a run from going on, one a line with what to do; empty when there are none.
[[nodiscard]] std::string refused_changes(const std::vector<Difference>& differences,
                                          const AllowedChanges& allowed);

}  // namespace troupe::configs
