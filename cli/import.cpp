#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/arguments/path_option.h"
#include "cli/arguments/shell_command.h"
#include "cli/subcommands.h"
#include "conversion/import.h"

namespace troupe::cli {
namespace {

struct ImportArguments {
  std::string folder;
  std::string output;
  std::int64_t sequence_length = 0;
};

int import(const ImportArguments& arguments) {
  const conversion::ImportReport report = conversion::import_model(
      {.folder = arguments.folder, .output = arguments.output, .sequence_length = arguments.sequence_length});
  for (const std::string& tensor : report.left_out) std::printf("left out: %s\n", tensor.c_str());
  if (report.absent_modules > 0) {
    std::printf("left out: %lld modules of multi-token prediction that config.json counts and no file has\n",
                static_cast<long long>(report.absent_modules));
  }
  std::printf("%s: a model of type %s, %lld parameters\n", arguments.output.c_str(),
              report.model_type.c_str(), static_cast<long long>(report.parameters));
  if (!report.has_tokenizer) {
    std::printf("no tokenizer.json is in %s: `generate` needs one, in %s/corpus\n", arguments.folder.c_str(),
                arguments.output.c_str());
    return kSuccess;
  }
  std::printf("let it write:  %s\n",
              troupe_command({"generate", arguments.output, "--prompt", "Hello"}).c_str());
  std::printf(
      "train it:      %s\n",
      troupe_command({"train", arguments.output + "/train.yaml", "--set", "data.corpus=FOLDER"}).c_str());
  return kSuccess;
}

}  // namespace

void add_import(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<ImportArguments>();
  auto* subcommand = program.add_subcommand("import", "Make a run's folder of a Hugging Face model");
  add_path(*subcommand, "FOLDER", arguments->folder,
           "Folder with config.json, model.safetensors (or its index and shards) and tokenizer.json")
      ->required();
  add_path(*subcommand, "--output", arguments->output, "Folder of the run that is made")->required();
  subcommand
      ->add_option("--sequence-length", arguments->sequence_length,
                   "data.sequence_length of the run; 0: what the model was made for, at most 2048")
      ->check(CLI::NonNegativeNumber);
  subcommand->footer(
      "Examples:\n"
      "  troupe import Qwen3-30B-A3B --output runs/qwen3\n"
      "  troupe generate runs/qwen3 --prompt \"The capital of Japan is\"\n"
      "  troupe data prepare TEXT --tokenizer runs/qwen3/corpus --output data/mine\n"
      "  troupe train runs/qwen3/train.yaml --set data.corpus=data/mine");
  subcommand->callback([arguments, &action] { action = [arguments] { return import(*arguments); }; });
}

}  // namespace troupe::cli
