#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/subcommands.h"
#include "configs/reference.h"

namespace troupe::cli {

void add_config(CLI::App& program, Action& action) {
  struct Arguments {
    std::string key;
    bool markdown = false;
    bool json = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  auto* subcommand = program.add_subcommand("config", "Every option of a run, with default, range and help");
  subcommand->add_option("KEY", arguments->key, "Only this option or group, for example model.moe");
  subcommand->add_flag("--markdown", arguments->markdown, "The reference page, docs/reference/config.md");
  subcommand->add_flag("--json", arguments->json, "Machine-readable");
  subcommand->footer("Example:\n  troupe config model.moe.router");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      if (arguments->markdown && !arguments->key.empty())
        throw Error(ErrorCode::kConfig, "--markdown writes the whole page and takes no KEY");
      const std::string text = arguments->markdown ? configs::document()
                               : arguments->json   ? configs::explain_as_json(arguments->key)
                                                   : configs::explain(arguments->key);
      std::fputs(text.c_str(), stdout);
      return kSuccess;
    };
  });
}

}  // namespace troupe::cli
