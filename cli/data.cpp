// troupe data prepare | inspect | order
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/arguments/path_option.h"
#include "cli/data_order.h"
#include "cli/data_prepare.h"
#include "cli/subcommands.h"
#include "data/corpus_summary.h"

namespace troupe::cli {
namespace {

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
  add_data_prepare(*subcommand, action);
  add_inspect(*subcommand, action);
  add_data_order(*subcommand, action);
}

}  // namespace troupe::cli
