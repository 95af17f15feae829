#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace troupe::configs {

/// One described option or group of options.
struct OptionInfo {
  enum class Kind {
    kOption,
    kGroup,
    kElement
  };  // kElement: an option of a list's groups, e.g. "aux_loss[].scope"

  Kind kind = Kind::kOption;
  std::string key;    // "model.moe.top_k"
  std::string name;   // "top_k"
  std::string value;  // as YAML, on one line; of a group: empty
  std::string type;   // "an integer of at least 1"
  std::string help;
};

/// What describe() says, in its order, groups before their options.
[[nodiscard]] std::vector<OptionInfo> list_options(const std::function<void(Fields&)>& describe);

/// Keys of all options and groups of a run.
[[nodiscard]] std::vector<std::string> all_keys();

}  // namespace troupe::configs
