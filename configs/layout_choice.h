#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "configs/run_config.h"

namespace troupe::configs {

/// How many workers compute a run, and how many of them hold all experts between them.
struct LayoutChoice {
  std::int64_t workers = 1;
  std::int64_t expert_parallel = 1;
  bool operator==(const LayoutChoice&) const = default;
};

/// Why this layout cannot compute the run, with the key to change; nothing when it can.
struct LayoutRefusal {
  std::string key;
  std::string message;
};
[[nodiscard]] std::optional<LayoutRefusal> refuse_layout(const RunConfig& config, const LayoutChoice& layout);

/// The configured layout. What is `auto`: the most workers, workers * threads <= cores if possible, that the
/// rules allow; expert_parallel = workers. Throws kConfig when the rules allow none. Pure.
[[nodiscard]] LayoutChoice choose_layout(const RunConfig& config, std::int64_t cores);

/// The next smaller layout that computes the same run: the most workers below `workers`, with the present
/// expert_parallel if it goes with them, else the largest that does. Pure.
[[nodiscard]] std::optional<LayoutChoice> smaller_layout(const RunConfig& config, std::int64_t workers);

}  // namespace troupe::configs
