#include "cli/arguments/config_arguments.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/arguments/config_paths.h"
#include "cli/arguments/path_option.h"
#include "configs/rules.h"
#include "configs/silent_options.h"

namespace troupe::cli {

configs::Check on_resolved_paths(const configs::Check& check) {
  if (!check) return nullptr;
  return [check](configs::RunConfig config) {
    resolve_paths(config);
    return check(config);
  };
}

void ConfigArguments::add_to(CLI::App& subcommand, bool is_required) {
  add_path(subcommand, "CONFIG", path, "Configuration file, for example configs/quickstart.yaml")
      ->required(is_required);
  subcommand.add_option("--set", overrides, "KEY=VALUE: another value for an option; may be repeated")
      ->allow_extra_args(false)
      ->default_str("");
}

configs::RunConfig ConfigArguments::load(const configs::Check& more) const {
  configs::RunConfig config = configs::load_config(path, overrides, on_resolved_paths(more));
  resolve_paths(config);
  for (const std::string& warning : configs::warnings(config))
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  for (const std::string& silent : configs::silent_options(config))
    std::fprintf(stderr, "warning: %s\n", silent.c_str());
  return config;
}

}  // namespace troupe::cli
