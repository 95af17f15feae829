#include "cli/data_inspect.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "base/index.h"
#include "cli/arguments/path_option.h"
#include "cli/terminal/terminal.h"
#include "data/corpus_summary.h"
#include "data/corpus_text.h"
#include "data/tokenizer/tokenizer_json.h"

namespace troupe::cli {
namespace {

struct InspectArguments {
  std::string folder;
  bool json = false;
  bool verify = false;
  bool text = false;
  bool heldout = false;
  std::int64_t documents = 10;
};

/// Control characters of a text do nothing to the terminal.
std::string without_controls(std::string text) {
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == '\x7F';
  };
  std::ranges::replace_if(text, is_control, '?');
  return text;
}

/// What is trained is in colour or, where there is none, in brackets; of a corpus that is trained as a whole,
/// nothing is marked.
std::string shown_text(const data::TokenDataset& dataset, const data::Tokenizer& tokenizer,
                       std::int64_t number, const TerminalOptions& terminal) {
  const bool marks = !dataset.header().trained.all();
  std::string shown;
  data::visit_text(dataset, tokenizer, number, [&](const std::string& text, bool trained) {
    const std::string part = terminal.is_interactive ? without_controls(text) : text;
    if (!marks || !trained) {
      shown += part;
    } else {
      shown += terminal.has_colour ? "\033[32m" + part + "\033[0m" : "\u27E6" + part + "\u27E7";
    }
  });
  return shown;
}

int show_text(const InspectArguments& arguments) {
  const std::filesystem::path folder = arguments.folder;
  const char* part = arguments.heldout ? data::kHeldoutFile : data::kTrainFile;
  const data::TokenDataset dataset(folder / part);
  const data::Tokenizer tokenizer = data::read_tokenizer_json(folder / data::kTokenizerFile);
  const data::TokenFileHeader& header = dataset.header();
  const TerminalOptions terminal = TerminalOptions::detect(stdout);
  const std::int64_t all = dataset.document_count();
  const std::int64_t count = arguments.documents == 0 ? all : std::min(arguments.documents, all);
  for (std::int64_t number = 0; number < count; ++number) {
    const data::TokenPiece piece = dataset.document(number);
    const char* half = !header.pairs ? "" : number % 2 == 0 ? ", chosen" : ", rejected";
    std::printf("--- document %lld of %s, %s%s: %lld tokens, %lld trained\n%s\n",
                static_cast<long long>(number), part,
                header.domain_names[at(header.document_domains[at(number)])].c_str(), half,
                static_cast<long long>(piece.count),
                static_cast<long long>(header.trained.count(piece.first, piece.count)),
                shown_text(dataset, tokenizer, number, terminal).c_str());
  }
  if (count < all) {
    std::printf("--- %lld more documents; --documents 0 shows all\n", static_cast<long long>(all - count));
  }
  return kSuccess;
}

int inspect(const InspectArguments& arguments) {
  if (arguments.verify) data::verify_corpus(arguments.folder);
  if (arguments.text) return show_text(arguments);
  const data::CorpusSummary summary = data::summarize_corpus(arguments.folder);
  std::fputs((arguments.json ? to_json(summary) : to_text(summary)).c_str(), stdout);
  return kSuccess;
}

}  // namespace

void add_data_inspect(CLI::App& data, Action& action) {
  const auto arguments = std::make_shared<InspectArguments>();
  auto* subcommand =
      data.add_subcommand("inspect", "Domains, documents, tokens and bytes of a prepared corpus; its text");
  add_path(*subcommand, "FOLDER", arguments->folder, "Folder that `troupe data prepare` wrote")->required();
  auto* json = subcommand->add_flag("--json", arguments->json, "One JSON object instead of a table");
  subcommand->add_flag("--verify", arguments->verify,
                       "Compare every byte of the files with the hashes that were written with them first");
  auto* text = subcommand->add_flag(
      "--text", arguments->text,
      "Documents as text; of a chat, what is trained in colour or \u27E6between these\u27E7");
  text->excludes(json);
  subcommand->add_option("--documents", arguments->documents, "Of --text: at most this many; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->needs(text);
  subcommand->add_flag("--heldout", arguments->heldout, "Of --text: those held out for evaluation")
      ->needs(text);
  subcommand->footer(
      "Examples:\n  troupe data inspect data/quickstart --verify\n"
      "  troupe data inspect data/chats --text --documents 3");
  subcommand->callback([arguments, &action] { action = [arguments] { return inspect(*arguments); }; });
}

}  // namespace troupe::cli
