#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/arguments/config_arguments.h"
#include "cli/arguments/path_option.h"
#include "cli/description/placement_description.h"
#include "cli/description/run_description.h"
#include "cli/run/preflight.h"
#include "cli/subcommands.h"
#include "data/token_dataset.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::cli {
namespace {

constexpr std::int64_t kUsualVocabSize = 8192;

/// Rows of the embedding; of a corpus that is not prepared yet, those of the usual tokenizer.
std::int64_t resolve_vocab_size(const configs::RunConfig& config) {
  if (config.model.vocab_size) return *config.model.vocab_size;
  const auto tokenizer = std::filesystem::path(config.data.corpus) / data::kTokenizerFile;
  if (std::filesystem::exists(tokenizer)) return data::read_tokenizer_json(tokenizer).padded_vocab_size();
  std::fprintf(stderr, "%s is missing: assuming a vocabulary of %lld\n", tokenizer.c_str(),
               static_cast<long long>(kUsualVocabSize));
  return kUsualVocabSize;
}

}  // namespace

void add_describe(CLI::App& program, Action& action) {
  struct Arguments {
    ConfigArguments config;
    bool json = false;
    std::string placement;
  };
  const auto arguments = std::make_shared<Arguments>();
  auto* subcommand = program.add_subcommand("describe", "A run's parameters, compute, layout and memory");
  arguments->config.add_to(*subcommand);
  subcommand->add_flag("--json", arguments->json, "For programs");
  add_path(*subcommand, "--placement", arguments->placement,
           "A run or checkpoint: what placing experts by its load would change")
      ->type_name("RUN");
  subcommand->footer(
      "Examples:\n  troupe describe configs/quickstart.yaml --json\n"
      "  troupe describe configs/quickstart.yaml --placement runs/quickstart --set parallel.workers=4");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      const configs::RunConfig config = arguments->config.load();
      const std::int64_t vocab_size = resolve_vocab_size(config);
      if (!arguments->placement.empty()) {
        const PlacementDescription placement = describe_placement(
            config, vocab_size, usable_cores(config), read_measured_load(arguments->placement, config));
        std::fputs((arguments->json ? to_json(placement) : to_text(placement)).c_str(), stdout);
        return kSuccess;
      }
      const RunDescription description = describe_run(config, vocab_size, usable_cores(config));
      std::fputs((arguments->json ? to_json(description) : to_text(description)).c_str(), stdout);
      return kSuccess;
    };
  });
}

}  // namespace troupe::cli
