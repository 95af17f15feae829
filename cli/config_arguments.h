#pragma once
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace CLI {
class App;
}

namespace troupe::cli {

/// `CONFIG [--set KEY=VALUE ...]`, as subcommands that read a configuration share it.
struct ConfigArguments {
  std::string path;
  std::vector<std::string> overrides;

  void add_to(CLI::App& subcommand);
  /// Throws kConfig with every mistake. Warnings go to stderr.
  [[nodiscard]] configs::RunConfig load() const;
};

}  // namespace troupe::cli
