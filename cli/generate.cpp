#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/exit_codes.h"
#include "cli/loaded_model.h"
#include "cli/subcommands.h"
#include "workers/sampler.h"

namespace troupe::cli {
namespace {

struct GenerateArguments {
  std::string path;
  std::vector<std::string> prompts;
  std::int64_t tokens = 64;
  workers::SamplingRule rule;
  std::string corpus;
  int threads = 1;
  bool json = false;
};

int generate(const GenerateArguments& arguments) {
  LoadedModel model(
      {.path = arguments.path, .corpus = arguments.corpus, .micro_batch = 1, .threads = arguments.threads});
  workers::Sampler sampler(model.model(), model.tokenizer());
  const auto& prompts = arguments.prompts.empty() ? model.config().sampling.prompts : arguments.prompts;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string text =
        sampler.sample({.text = prompts[i], .number = static_cast<std::int64_t>(i), .step = model.step()},
                       arguments.tokens, arguments.rule);
    if (arguments.json) {
      const nlohmann::json line{{"prompt", prompts[i]}, {"text", text}};
      std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    } else {
      std::printf("%s%s\n\n", prompts[i].c_str(), text.c_str());
    }
    std::fflush(stdout);
  }
  return kSuccess;
}

}  // namespace

void add_generate(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<GenerateArguments>();
  auto* subcommand = program.add_subcommand("generate", "Let a trained model write");
  subcommand->add_option("RUN", arguments->path, "Folder of a run (its newest checkpoint) or of a checkpoint")
      ->required();
  subcommand->add_option("--prompt", arguments->prompts, "What it goes on from; may be given several times")
      ->take_all();
  subcommand->add_option("--tokens", arguments->tokens, "At most this many tokens")
      ->check(CLI::Range(1, 100000));
  subcommand->add_option("--temperature", arguments->rule.temperature, "0: always the most likely token")
      ->check(CLI::Range(0.0, 100.0));
  subcommand->add_option("--top-k", arguments->rule.top_k, "Choose among the k most likely tokens; 0: all")
      ->check(CLI::NonNegativeNumber);
  subcommand->add_option("--corpus", arguments->corpus, "Folder with the tokenizer, when the corpus moved");
  subcommand->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  subcommand->add_flag("--json", arguments->json, "One JSON object per prompt");
  subcommand->footer(
      "Example:\n  troupe generate runs/quickstart-1 --prompt \"The \" --prompt \"def \" --tokens 100");
  subcommand->callback([arguments, &action] { action = [arguments] { return generate(*arguments); }; });
}

}  // namespace troupe::cli
