#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/signals.h"
#include "cli/arguments/standard_streams.h"
#include "cli/subcommands.h"
#include "configs/edit_distance.h"

namespace troupe::cli {
namespace {

/// Refuses the first word that names no subcommand where one is expected, with the name that was meant.
void require_known_subcommand(const CLI::App* command, int argc, char** argv) {
  for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
    std::vector<std::string> names;
    const CLI::App* chosen = nullptr;
    for (const CLI::App* each : command->get_subcommands(nullptr)) {
      names.push_back(each->get_name());
      if (each->check_name(argv[i])) chosen = each;
    }
    if (names.empty()) return;
    if (chosen == nullptr) {
      const std::string meant = configs::nearest(argv[i], names);
      throw Error(ErrorCode::kConfig, "there is no subcommand '{}'{}; `troupe --help` lists them", argv[i],
                  meant.empty() ? "" : fmt::format("; did you mean {}?", meant));
    }
    command = chosen;
  }
}

int run(int argc, char** argv) {
  log::set_up("troupe");  // to stderr: what a subcommand prints is its result
  CLI::App program{"Troupe trains Mixture-of-Experts language models on many workers."};
  program.footer("Example:\n  troupe train configs/quickstart.yaml");
  program.set_version_flag("--version", TROUPE_VERSION);
  program.require_subcommand(1);
  program.option_defaults()->always_capture_default();
  Action action;
  for (const AddSubcommand add : subcommands()) add(program, action);
  require_known_subcommand(&program, argc, argv);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kSuccess : kUsage;  // --help is no failure
  }
  return action();
}

}  // namespace
}  // namespace troupe::cli

int main(int argc, char** argv) {
  using namespace troupe;
  cli::occupy_standard_streams();
  signals::take_over();
  try {
    return cli::exit_code_after_output(cli::run(argc, argv));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kConfig) {
      std::fprintf(stderr, "%s\n", error.what());
      return cli::kUsage;
    }
    std::fprintf(stderr, "troupe: %s: %s\n", std::string(to_string(error.code())).c_str(), error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "troupe: %s\n", error.what());
  }
  return cli::kFailure;
}
