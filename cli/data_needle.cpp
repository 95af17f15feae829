#include "cli/data_needle.h"

#include <cstdio>
#include <memory>
#include <string>

#include "base/file.h"
#include "cli/arguments/path_option.h"
#include "data/corpus/find_tokenizer.h"
#include "data/tokenizer/tokenizer_json.h"
#include "tasks/needle.h"

namespace troupe::cli {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20;  // of a haystack

struct NeedleArguments {
  tasks::NeedleRequest request{.lengths = {128, 256}, .depths = {0.0, 0.5, 1.0}, .haystack = {}};
  std::string tokenizer;
  std::string text;
  std::string output;
};

int write_needles(NeedleArguments& arguments) {
  const data::Tokenizer tokenizer = data::read_tokenizer_json(data::find_tokenizer(arguments.tokenizer));
  if (!arguments.text.empty()) arguments.request.haystack = read_file(arguments.text, kMostBytes);
  std::string lines;
  for (const std::string& line : tasks::needle_lines(arguments.request, tokenizer)) lines += line + "\n";
  write_file_atomically(arguments.output, lines);
  std::printf("%s is written; `troupe eval RUN --tasks %s` asks it\n", arguments.output.c_str(),
              arguments.output.c_str());
  return kSuccess;
}

}  // namespace

void add_data_needle(CLI::App& data, Action& action) {
  const auto arguments = std::make_shared<NeedleArguments>();
  auto* subcommand = data.add_subcommand(
      "needle", "Questions about one sentence hidden in a long text, for `troupe eval --tasks`");
  add_path(*subcommand, "--tokenizer", arguments->tokenizer,
           "tokenizer.json, or a folder with one (a corpus, a run): what lengths are counted in")
      ->required();
  add_path(*subcommand, "--output", arguments->output, "File to write")->required();
  subcommand->add_option("--lengths", arguments->request.lengths, "Tokens of a context, question included")
      ->delimiter(',')
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 24));
  subcommand
      ->add_option("--depths", arguments->request.depths, "Place of the sentence, from 0 (begin) to 1 (end)")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0));
  subcommand->add_option("--count", arguments->request.count, "Questions of each length and depth")
      ->check(CLI::Range(1, 100000));
  subcommand->add_option("--seed", arguments->request.seed,
                         "Of cities, numbers and the right answer's place");
  add_path(*subcommand, "--text", arguments->text, "Text to hide it in; by default a few plain sentences");
  subcommand->add_flag("--in-words", arguments->request.in_words,
                       "The model writes the answer, instead of choosing among five");
  subcommand->footer(
      "Example:\n"
      "  troupe data needle --tokenizer runs/quickstart-1 --lengths 64,128,256 --depths 0,0.5,1 --output "
      "needle.jsonl");
  subcommand->callback([arguments, &action] { action = [arguments] { return write_needles(*arguments); }; });
}

}  // namespace troupe::cli
