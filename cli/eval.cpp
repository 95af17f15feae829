#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "base/index.h"
#include "cli/arguments/path_option.h"
#include "cli/arguments/this_process.h"
#include "cli/run/loaded_model.h"
#include "cli/subcommands.h"
#include "layout/load_counts.h"
#include "workers/evaluator.h"

namespace troupe::cli {
namespace {

struct EvalArguments {
  std::string path;
  std::int64_t sequences = 1024;
  std::string corpus;
  int threads = 1;
  bool json = false;
};

struct Row {
  double nats_per_token;
  double bits_per_byte;
  std::int64_t tokens;
};

Row row_of(const workers::DomainResult& result) {
  return {.nats_per_token = result.nats / static_cast<double>(std::max<std::int64_t>(1, result.tokens)),
          .bits_per_byte =
              result.nats / std::numbers::ln2 / static_cast<double>(std::max<std::int64_t>(1, result.bytes)),
          .tokens = result.tokens};
}

workers::DomainResult total_of(const workers::EvaluationResult& evaluation) {
  workers::DomainResult total;
  for (const auto& [domain, result] : evaluation.domains) {
    total.nats += result.nats;
    total.tokens += result.tokens;
    total.bytes += result.bytes;
  }
  return total;
}

/// experts: routed, per layer
void print_json(const workers::EvaluationResult& evaluation, std::size_t experts) {
  const auto one = [](const Row& row) {
    return nlohmann::json{
        {"eval_loss", row.nats_per_token}, {"eval_bits_per_byte", row.bits_per_byte}, {"tokens", row.tokens}};
  };
  nlohmann::json domains = nlohmann::json::object();
  for (const auto& [domain, result] : evaluation.domains) domains[domain] = one(row_of(result));
  nlohmann::json violations = nlohmann::json::array();
  for (int layer = 0; layer < evaluation.load.counts.layers(); ++layer) {
    violations.push_back(layout::max_violation(evaluation.load.counts.layer(layer).first(experts)));
  }
  const nlohmann::json all{{"total", one(row_of(total_of(evaluation)))},
                           {"domains", domains},
                           {"max_violation_global", violations}};
  std::printf("%s\n", all.dump(2).c_str());
}

void print_table(const workers::EvaluationResult& evaluation) {
  const auto print = [](const std::string& name, const Row& row) {
    std::printf("%-24s %12.4f %12.4f %12lld\n", name.c_str(), row.nats_per_token, row.bits_per_byte,
                static_cast<long long>(row.tokens));
  };
  std::printf("%-24s %12s %12s %12s\n", "domain", "nats/token", "bits/byte", "tokens");
  for (const auto& [domain, result] : evaluation.domains) print(domain, row_of(result));
  print("all", row_of(total_of(evaluation)));
}

int evaluate(const EvalArguments& arguments) {
  let_openmp_sleep();
  LoadedModel model({.path = arguments.path, .corpus = arguments.corpus, .threads = arguments.threads});
  const data::TokenDataset heldout = model.open_heldout();
  workers::Evaluator evaluator(model.model(), heldout, model.config().data.document_mask);
  const workers::EvaluationResult evaluation = evaluator.evaluate(arguments.sequences);
  const auto experts = at(model.config().model.moe.experts);
  arguments.json ? print_json(evaluation, experts) : print_table(evaluation);
  return kSuccess;
}

}  // namespace

void add_eval(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<EvalArguments>();
  auto* subcommand = program.add_subcommand("eval", "Loss of a trained model on held-out text, by domain");
  add_path(*subcommand, "RUN", arguments->path, "Folder of a run (its newest checkpoint) or of a checkpoint")
      ->required();
  subcommand->add_option("--sequences", arguments->sequences, "At most this many sequences")
      ->check(CLI::PositiveNumber);
  add_path(*subcommand, "--corpus", arguments->corpus, "Another prepared corpus than the run's");
  subcommand->add_option("--threads", arguments->threads, "CPU threads")->check(CLI::Range(1, 1024));
  subcommand->add_flag("--json", arguments->json, "Machine-readable");
  subcommand->footer("Example:\n  troupe eval runs/quickstart-1 --sequences 256");
  subcommand->callback([arguments, &action] { action = [arguments] { return evaluate(*arguments); }; });
}

}  // namespace troupe::cli
