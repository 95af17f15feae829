#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/arguments/config_arguments.h"
#include "cli/run/preflight.h"
#include "cli/subcommands.h"

namespace troupe::cli {
namespace {

struct ValidateArguments : ConfigArguments {
  bool without_corpus = false;
  bool json = false;
};

configs::RunConfig load(const ValidateArguments& arguments) {
  return arguments.load([&](const configs::RunConfig& config) {
    auto problems = launch_problems(config);
    std::ranges::move(page_problems(config), std::back_inserter(problems));
    if (!arguments.without_corpus) std::ranges::move(corpus_problems(config), std::back_inserter(problems));
    return problems;
  });
}

void print(const nlohmann::ordered_json& json) {
  std::printf("%s\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int validate_as_json(const ValidateArguments& arguments) {
  try {
    const configs::RunConfig config = load(arguments);
    print({{"valid", true}, {"problems", nlohmann::json::array()}, {"warnings", configs::warnings(config)}});
    return kSuccess;
  } catch (const configs::ConfigError& error) {
    nlohmann::ordered_json problems = nlohmann::json::array();
    for (const configs::Problem& problem : error.problems()) {
      problems.push_back({{"source", problem.place.source},
                          {"line", problem.place.line},
                          {"column", problem.place.column},
                          {"message", problem.message}});
    }
    print({{"valid", false}, {"problems", problems}, {"warnings", nlohmann::json::array()}});
    return kUsage;
  }
}

int validate(const ValidateArguments& arguments) {
  if (arguments.json) return validate_as_json(arguments);
  static_cast<void>(load(arguments));
  std::printf("%s is valid\n", arguments.path.c_str());
  return kSuccess;
}

}  // namespace

void add_validate(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<ValidateArguments>();
  auto* subcommand = program.add_subcommand(
      "validate", "Every mistake in a configuration, with its place: whatever `train` would refuse");
  arguments->add_to(*subcommand);
  subcommand->add_flag("--no-corpus", arguments->without_corpus,
                       "Not against the corpus, which is elsewhere");
  subcommand->add_flag("--json", arguments->json, "Machine-readable");
  subcommand->footer("Example:\n  troupe validate configs/quickstart.yaml --set model.moe.experts=32");
  subcommand->callback([arguments, &action] { action = [arguments] { return validate(*arguments); }; });
}

}  // namespace troupe::cli
