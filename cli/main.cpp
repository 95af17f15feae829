#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "base/error.h"
#include "base/signals.h"
#include "cli/standard_streams.h"
#include "cli/subcommands.h"

namespace troupe::cli {
namespace {

int run(int argc, char** argv) {
  CLI::App program{"Troupe trains Mixture-of-Experts language models on many workers."};
  program.footer("Example:\n  troupe train configs/quickstart.yaml");
  program.set_version_flag("--version", TROUPE_VERSION);
  program.require_subcommand(1);
  Action action;
  for (const AddSubcommand add : subcommands()) add(program, action);
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
