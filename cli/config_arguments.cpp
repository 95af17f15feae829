#include "cli/config_arguments.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "configs/load.h"
#include "configs/rules.h"
#include "configs/silent_options.h"

namespace troupe::cli {

void ConfigArguments::add_to(CLI::App& subcommand) {
  subcommand.add_option("CONFIG", path, "Configuration file, for example configs/quickstart.yaml")
      ->required();
  subcommand.add_option("--set", overrides, "KEY=VALUE: another value for an option; may be repeated")
      ->allow_extra_args(false);
}

configs::RunConfig ConfigArguments::load() const {
  configs::RunConfig config = configs::load_config(path, overrides);
  for (const std::string& warning : configs::warnings(config))
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  for (const std::string& silent : configs::silent_options(config))
    std::fprintf(stderr, "warning: %s\n", silent.c_str());
  return config;
}

}  // namespace troupe::cli
