#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "base/counted.h"
#include "cli/arguments/path_option.h"
#include "cli/run/run_corpus.h"
#include "cli/subcommands.h"
#include "configs/load.h"
#include "conversion/export.h"
#include "conversion/gguf_export.h"
#include "data/token_dataset.h"
#include "storage/checkpoint_path.h"
#include "storage/manifest.h"

namespace troupe::cli {
namespace {

using storage::safetensors::ValueType;

struct ExportArguments {
  std::string path;
  std::string output;
  std::string format = "hf";
  std::string type = "f32";
  std::string model_type;
};

/// The tokenizer of a checkpoint; empty when it is nowhere.
std::filesystem::path tokenizer_of(const std::filesystem::path& checkpoint) {
  const storage::Manifest manifest = storage::load_manifest(checkpoint);
  const configs::RunConfig config = configs::parse_record(manifest.metadata.config, checkpoint.string());
  const std::filesystem::path file = corpus_of(checkpoint, config.data.corpus) / data::kTokenizerFile;
  std::error_code missing;
  return std::filesystem::exists(file, missing) ? file : std::filesystem::path();
}

int export_model(const ExportArguments& arguments) {
  const std::filesystem::path checkpoint = storage::find_checkpoint(arguments.path);
  const std::filesystem::path tokenizer = tokenizer_of(checkpoint);
  if (tokenizer.empty())
    std::fprintf(stderr, "warning: no tokenizer.json is written, since the run's is gone\n");
  const conversion::ExportRequest request{
      .checkpoint = checkpoint,
      .output = arguments.output,
      .tokenizer = tokenizer,
      .model_type = arguments.model_type,
      .type = arguments.type == "bf16" ? ValueType::kBf16 : ValueType::kF32};
  const conversion::ExportReport report =
      arguments.format == "gguf" ? conversion::export_gguf(request) : conversion::export_model(request);
  std::printf("%s: a model of type %s, %lld parameters in %s\n", arguments.output.c_str(),
              report.model_type.c_str(), static_cast<long long>(report.parameters), arguments.type.c_str());
  if (report.modules_left_out > 0) {
    std::printf("left out, since the format has none: %s of multi-token prediction\n",
                counted(report.modules_left_out, "module").c_str());
  }
  return kSuccess;
}

}  // namespace

void add_export(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<ExportArguments>();
  auto* subcommand = program.add_subcommand("export", "Write a model for other programs");
  add_path(*subcommand, "RUN", arguments->path, "Folder of a run (its newest checkpoint) or of a checkpoint")
      ->required();
  add_path(*subcommand, "--output", arguments->output, "Folder that is made, or with --format gguf a file")
      ->required();
  subcommand
      ->add_option("--format", arguments->format,
                   "hf: for Hugging Face's transformers; gguf: one file, for llama.cpp")
      ->check(CLI::IsMember({"hf", "gguf"}));
  subcommand->add_option("--dtype", arguments->type, "Of the weights")->check(CLI::IsMember({"f32", "bf16"}));
  subcommand
      ->add_option("--type", arguments->model_type,
                   "model_type of config.json; by default the first that can say the model")
      ->default_str("");
  subcommand->footer(
      "Examples:\n"
      "  troupe export runs/quickstart-1 --output exported\n"
      "  troupe export runs/qwen3 --format hf --dtype bf16 --type qwen3_moe --output exported\n"
      "  troupe export runs/qwen3 --format gguf --dtype bf16 --output qwen3.gguf");
  subcommand->callback([arguments, &action] { action = [arguments] { return export_model(*arguments); }; });
}

}  // namespace troupe::cli
