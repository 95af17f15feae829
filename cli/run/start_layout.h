#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "configs/layout_choice.h"
#include "configs/run_config.h"

namespace troupe::cli {

/// How many workers a start of the run has, and on which hosts: what was asked for, or what is left of it.
class StartLayout {
 public:
  /// asked: workers and expert_parallel are resolved
  explicit StartLayout(configs::RunConfig asked);

  /// Of the present start.
  [[nodiscard]] const std::optional<std::string>& hostfile() const { return hostfile_; }

  struct Room {
    std::int64_t workers;               // that the hosts have room for
    std::vector<std::string> left_out;  // hosts on which no command can be run
  };

  /// Takes the hosts of the next start, those of the asked hostfile that answer; where some do not, the
  /// others are written to `file`.
  [[nodiscard]] Room take_hosts(std::int64_t workers, const std::filesystem::path& file);

  /// The layout of so many workers that is nearest to what was asked for. They must be able to compute it.
  [[nodiscard]] configs::LayoutChoice of(std::int64_t workers) const;

 private:
  [[nodiscard]] std::optional<configs::LayoutChoice> at_most(std::int64_t workers) const;

  configs::RunConfig asked_;
  std::optional<std::string> hostfile_;
};

}  // namespace troupe::cli
