// troupe data prepare | inspect | order
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "cli/data_order.h"
#include "cli/path_option.h"
#include "cli/subcommands.h"
#include "data/corpus/description.h"
#include "data/corpus/package_cache.h"
#include "data/corpus/prepare.h"
#include "data/corpus_summary.h"

namespace troupe::cli {
namespace {

struct PrepareArguments {
  std::string description;
  std::string output;
  std::optional<std::int64_t> vocab_size;
};

int prepare(const PrepareArguments& arguments) {
  log::set_up("data");
  const std::filesystem::path output =
      arguments.output.empty()
          ? std::filesystem::path("data") / data::load_corpus_description(arguments.description).name
          : std::filesystem::path(arguments.output);
  const bool worked = data::prepare_corpus({.description = arguments.description,
                                            .output = output,
                                            .vocab_size = arguments.vocab_size,
                                            .package_cache = data::default_package_cache()});
  std::printf("%s %s; `troupe data inspect %s` shows it\n", output.c_str(),
              worked ? "is ready" : "was ready: nothing it is made from has changed", output.c_str());
  return kSuccess;
}

void add_prepare(CLI::App& data, Action& action) {
  const auto arguments = std::make_shared<PrepareArguments>();
  auto* subcommand = data.add_subcommand("prepare", "Fetch, choose and tokenize the text of a corpus");
  add_path(*subcommand, "CORPUS", arguments->description,
           "Description, for example configs/corpora/debian.yaml")
      ->required();
  add_path(*subcommand, "--output", arguments->output, "Folder to write; default: data/<name of the corpus>");
  subcommand
      ->add_option("--vocab", arguments->vocab_size, "Entries of the tokenizer, instead of the description's")
      ->check(CLI::Range(data::kSmallestVocab, data::kLargestVocab));
  subcommand->footer("Example:\n  troupe data prepare configs/corpora/debian.yaml --output data/debian");
  subcommand->callback([arguments, &action] { action = [arguments] { return prepare(*arguments); }; });
}

void add_inspect(CLI::App& data, Action& action) {
  struct Arguments {
    std::string folder;
    bool json = false;
    bool verify = false;
  };
  const auto arguments = std::make_shared<Arguments>();
  auto* subcommand =
      data.add_subcommand("inspect", "Domains, documents, tokens and bytes of a prepared corpus");
  add_path(*subcommand, "FOLDER", arguments->folder, "Folder that `troupe data prepare` wrote")->required();
  subcommand->add_flag("--json", arguments->json, "One JSON object instead of a table");
  subcommand->add_flag("--verify", arguments->verify,
                       "Compare every byte of the files with the hashes that were written with them first");
  subcommand->footer("Example:\n  troupe data inspect data/debian --verify");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      if (arguments->verify) data::verify_corpus(arguments->folder);
      const data::CorpusSummary summary = data::summarize_corpus(arguments->folder);
      std::fputs((arguments->json ? to_json(summary) : to_text(summary)).c_str(), stdout);
      return kSuccess;
    };
  });
}

}  // namespace

void add_data(CLI::App& program, Action& action) {
  auto* subcommand = program.add_subcommand("data", "Prepare text for training, and look at it");
  subcommand->require_subcommand(1);
  subcommand->footer("Example:\n  troupe data inspect data/debian");
  add_prepare(*subcommand, action);
  add_inspect(*subcommand, action);
  add_data_order(*subcommand, action);
}

}  // namespace troupe::cli
