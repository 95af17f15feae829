#pragma once
#include <string>
#include <vector>

#include "configs/load.h"
#include "configs/run_config.h"

namespace CLI {
class App;
}

namespace troupe::cli {

/// The check, given the configuration with its paths resolved.
[[nodiscard]] configs::Check on_resolved_paths(const configs::Check& check);

/// `CONFIG [--set KEY=VALUE ...]`, as subcommands that read a configuration share it.
struct ConfigArguments {
  std::string path;
  std::vector<std::string> overrides;

  void add_to(CLI::App& subcommand, bool is_required = true);
  /// Throws kConfig with every mistake, those that `more` finds included. Warnings go to stderr.
  [[nodiscard]] configs::RunConfig load(const configs::Check& more = nullptr) const;
};

}  // namespace troupe::cli
