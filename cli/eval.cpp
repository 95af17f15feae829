#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/arguments/path_option.h"
#include "cli/arguments/this_process.h"
#include "cli/eval_tasks.h"
#include "cli/run/loaded_model.h"
#include "cli/run/on_workers.h"
#include "cli/subcommands.h"
#include "coordinator/run/evaluation_summary.h"
#include "workers/evaluator.h"
#include "workers/preferences/pair_evaluator.h"
#include "workers/step_reports.h"
#include "workers/training_data.h"

namespace troupe::cli {
namespace {

struct EvalArguments {
  std::string path;
  std::int64_t sequences = 1024;
  std::string corpus;
  std::vector<std::string> tasks;  // files
  WorkersRequest workers;
  bool json = false;
};

nlohmann::json to_json(const coordinator::LossSummary& loss) {
  if (loss.accuracy) {
    return {{"eval_loss", loss.nats_per_token},
            {"eval_preference_accuracy", *loss.accuracy},
            {"pairs", loss.tokens}};
  }
  return {{"eval_loss", loss.nats_per_token},
          {"eval_bits_per_byte", loss.bits_per_byte},
          {"tokens", loss.tokens}};
}

nlohmann::json layers_json(const coordinator::EvaluationSummary& summary) {
  nlohmann::json layers = nlohmann::json::array();
  for (const auto& [layer, violation] : summary.max_violation_global) {
    nlohmann::json& one = layers.emplace_back();
    one = {{"layer", layer}, {"max_violation_global", violation}};
    const auto found = summary.specialization.find(layer);
    if (found == summary.specialization.end()) continue;
    one["mutual_information_bits"] = found->second.mutual_information;
    one["mutual_information_limit_bits"] = found->second.mutual_information_limit;
    one["domain_distance"] = found->second.domain_distance;
  }
  return layers;
}

void print_json(const coordinator::EvaluationSummary& summary) {
  nlohmann::json domains = nlohmann::json::object();
  for (const auto& [domain, loss] : summary.domains) domains[domain] = to_json(loss);
  const nlohmann::json all{
      {"total", to_json(summary.overall)}, {"domains", domains}, {"layers", layers_json(summary)}};
  std::printf("%s\n", all.dump(2).c_str());
}

void print_losses(const coordinator::EvaluationSummary& summary) {
  const auto print = [](const std::string& name, const coordinator::LossSummary& loss) {
    std::printf("%-24s %12.4f %12.4f %12lld\n", name.c_str(), loss.nats_per_token,
                loss.accuracy.value_or(loss.bits_per_byte), static_cast<long long>(loss.tokens));
  };
  const bool pairs = summary.overall.accuracy.has_value();
  std::printf("%-24s %12s %12s %12s\n", "domain", pairs ? "nats/pair" : "nats/token",
              pairs ? "accuracy" : "bits/byte", pairs ? "pairs" : "tokens");
  for (const auto& [domain, loss] : summary.domains) print(domain, loss);
  print("all", summary.overall);
}

/// How far experts keep to domains, and how evenly they are used.
void print_layers(const coordinator::EvaluationSummary& summary) {
  if (summary.max_violation_global.empty()) return;
  std::printf("\n%-24s %12s %12s %12s %12s\n", "layer", "MaxVio", "bits shared", "of at most", "distance");
  for (const auto& [layer, violation] : summary.max_violation_global) {
    std::printf("%-24lld %12.4f", static_cast<long long>(layer), violation);
    const auto found = summary.specialization.find(layer);
    if (found != summary.specialization.end())
      std::printf(" %12.4f %12.4f %12.4f", found->second.mutual_information,
                  found->second.mutual_information_limit, found->second.domain_distance);
    std::printf("\n");
  }
  if (!summary.specialization.empty())
    std::printf(
        "bits shared: mutual information of a token's domain and its experts; distance: of two domains'\n"
        "shares of experts, between 0 (equal) and 1 (no expert in common)\n");
}

/// On text, or on preferences what an objective that compares says of them.
workers::EvaluationResult evaluate(LoadedModel& model, const data::TokenDataset& heldout,
                                   std::int64_t sequences) {
  const model::ObjectiveOptions& objective = model.config().model.objective;
  if (!heldout.header().pairs && !objective.is_reward()) {
    workers::Evaluator evaluator(model.model(), heldout, model.config().data.document_mask);
    return evaluator.evaluate(sequences);
  }
  workers::require_kind(heldout, objective);
  const data::PairOrder order(heldout, model.model().shape().sequence_length, 0);
  const std::vector<model::PairScores> reference = model.heldout_reference(heldout, order);
  workers::PairEvaluator evaluator(model.model(), heldout, order, reference);
  return *evaluator.evaluate(sequences, [] { return false; });
}

void evaluate_heldout(LoadedModel& model, const EvalArguments& arguments) {
  const data::TokenDataset heldout = model.open_heldout();
  const coordinator::EvaluationSummary summary = coordinator::summarize(
      workers::evaluation_report(model.step(), evaluate(model, heldout, arguments.sequences), model.model()));
  if (!model.speaks()) return;
  if (arguments.json) return print_json(summary);
  print_losses(summary);
  print_layers(summary);
}

int evaluate(const EvalArguments& arguments) {
  let_openmp_sleep();
  const LoadOptions options{.path = arguments.path,
                            .corpus = arguments.corpus,
                            .threads = arguments.workers.threads,
                            .by_domain = arguments.tasks.empty()};
  const auto check = [&](int workers) { check_loadable(options, workers); };
  return on_workers(arguments.workers, check, [&](comm::Communicator& world) {
    LoadedModel model(options, world);
    if (arguments.tasks.empty()) {
      evaluate_heldout(model, arguments);
    } else {
      evaluate_tasks(model, arguments.tasks, arguments.json);
    }
    return kSuccess;
  });
}

}  // namespace

void add_eval(CLI::App& program, Action& action) {
  const auto arguments = std::make_shared<EvalArguments>();
  auto* subcommand = program.add_subcommand(
      "eval",
      "Loss of a trained model on held-out text, by domain, and how far experts keep to domains; or its "
      "answers to the questions of a benchmark");
  add_path(*subcommand, "RUN", arguments->path,
           "Folder of a run (its newest checkpoint), of a checkpoint, or of a Hugging Face model")
      ->required();
  subcommand->add_option("--sequences", arguments->sequences, "At most this many sequences")
      ->check(CLI::PositiveNumber);
  add_path(*subcommand, "--corpus", arguments->corpus, "Another prepared corpus than the run's");
  subcommand
      ->add_option(
          "--tasks", arguments->tasks,
          "Instead, questions to answer: files of HellaSwag, ARC, OpenBookQA, PIQA, WinoGrande, MMLU or "
          "own ones, a JSON object a line (docs/evaluation.md)")
      ->take_all()
      ->transform([](const std::string& path) { return user_path(path); });
  arguments->workers.add_to(*subcommand);
  subcommand->add_flag("--json", arguments->json, "Machine-readable");
  subcommand->footer(
      "Examples:\n"
      "  troupe eval runs/quickstart-1 --sequences 256\n"
      "  troupe eval runs/quickstart-1 --tasks arc_easy.jsonl --tasks piqa.jsonl");
  subcommand->callback([arguments, &action] { action = [arguments] { return evaluate(*arguments); }; });
}

}  // namespace troupe::cli
