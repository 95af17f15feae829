#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/config_arguments.h"
#include "cli/subcommands.h"

namespace troupe::cli {

void add_validate(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<ConfigArguments>();
  auto* subcommand = program.add_subcommand("validate", "Every mistake in a configuration, with its place");
  arguments->add_to(*subcommand);
  subcommand->footer("Example:\n  troupe validate configs/quickstart.yaml --set model.moe.experts=32");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      static_cast<void>(arguments->load());
      std::printf("%s is valid\n", arguments->path.c_str());
      return kSuccess;
    };
  });
}

}  // namespace troupe::cli
