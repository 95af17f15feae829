#include "cli/data_order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/index.h"
#include "cli/arguments/config_arguments.h"
#include "cli/subcommands.h"
#include "data/batch_order.h"
#include "data/token_dataset.h"

namespace troupe::cli {
namespace {

struct OrderArguments {
  ConfigArguments config;
  std::int64_t step = 1;
  std::int64_t steps = 1;
  bool seen = false;
  bool json = false;
};

/// A part of a document that a sequence holds.
struct Part {
  std::int64_t document;
  std::string domain;
  data::TokenPiece tokens;  // of the training file
};

/// A sequence of a step: it predicts `sequence_length` tokens, each from the one before it, beginning with
/// its second one.
struct PlacedSequence {
  std::int64_t step;
  std::int64_t number;  // of the run
  std::vector<Part> parts;
};

data::TokenDataset open_text(const configs::RunConfig& config) {
  data::TokenDataset train(std::filesystem::path(config.data.corpus) / data::kTrainFile);
  if (!train.header().pairs) return train;
  throw Error(ErrorCode::kConfig, "{} has preferences; the order of text is shown here",
              train.path().string());
}

/// The training text of a configuration, in its order.
struct OrderedText {
  explicit OrderedText(const configs::RunConfig& config)
      : train(open_text(config)),
        order(train, config.data.sequence_length, static_cast<std::uint64_t>(config.run.seed),
              config.data.domains) {}

  data::TokenDataset train;
  data::BatchOrder order;
};

std::vector<Part> parts_of(const OrderedText& text, std::int64_t number) {
  std::vector<data::TokenPiece> pieces;
  text.order.append_pieces(number, pieces);
  std::vector<Part> parts;
  for (const data::TokenPiece& piece : pieces) {
    const std::int64_t document = text.train.document_at(piece.first);
    const auto domain = at(text.train.header().document_domains[at(document)]);
    parts.push_back({document, text.train.header().domain_names[domain], piece});
  }
  return parts;
}

std::vector<PlacedSequence> sequences_of(const OrderArguments& arguments, const configs::RunConfig& config) {
  const OrderedText text(config);
  std::vector<PlacedSequence> placed;
  const std::int64_t begin = (arguments.step - 1) * config.batch.sequences;
  for (std::int64_t number = begin; number < begin + arguments.steps * config.batch.sequences; ++number)
    placed.push_back({number / config.batch.sequences + 1, number, parts_of(text, number)});
  return placed;
}

std::string to_json(const std::vector<PlacedSequence>& sequences) {
  nlohmann::json rows = nlohmann::json::array();
  for (const PlacedSequence& sequence : sequences) {
    nlohmann::json parts = nlohmann::json::array();
    for (const Part& part : sequence.parts) {
      parts.push_back({{"document", part.document},
                       {"domain", part.domain},
                       {"first_token", part.tokens.first},
                       {"tokens", part.tokens.count}});
    }
    rows.push_back({{"step", sequence.step}, {"sequence", sequence.number}, {"parts", parts}});
  }
  return rows.dump(2) + "\n";
}

std::string to_text(const std::vector<PlacedSequence>& sequences) {
  std::string text = fmt::format("{:>8} {:>10}  {}\n", "step", "sequence", "documents: tokens");
  for (const PlacedSequence& sequence : sequences) {
    std::vector<std::string> parts;
    for (const Part& part : sequence.parts)
      parts.push_back(fmt::format("{} {}: {}", part.domain, part.document, part.tokens.count));
    text += fmt::format("{:>8} {:>10}  {}\n", sequence.step, sequence.number, fmt::join(parts, ", "));
  }
  return text;
}

/// What a run has seen of every domain before the step.
std::string seen_text(const OrderArguments& arguments, const configs::RunConfig& config) {
  const OrderedText text(config);
  const auto seen = text.order.seen((arguments.step - 1) * config.batch.sequences);
  nlohmann::json rows = nlohmann::json::array();
  std::string table =
      fmt::format("{:<24} {:>14} {:>14} {:>10}\n", "domain", "tokens", "tokens seen", "epochs");
  for (std::size_t domain = 0; domain < seen.size(); ++domain) {
    const std::string& name = text.train.header().domain_names[domain];
    const std::int64_t epoch = std::max<std::int64_t>(seen[domain].epoch_tokens, 1);
    const double epochs = static_cast<double>(seen[domain].tokens) / static_cast<double>(epoch);
    table += fmt::format("{:<24} {:>14} {:>14} {:>10.3f}\n", name, seen[domain].epoch_tokens,
                         seen[domain].tokens, epochs);
    rows.push_back({{"domain", name},
                    {"tokens", seen[domain].epoch_tokens},
                    {"seen", seen[domain].tokens},
                    {"epochs", epochs}});
  }
  return arguments.json ? rows.dump(2) + "\n" : table;
}

std::string answer(const OrderArguments& arguments) {
  const configs::RunConfig config = arguments.config.load();
  if (arguments.seen) return seen_text(arguments, config);
  const auto sequences = sequences_of(arguments, config);
  return arguments.json ? to_json(sequences) : to_text(sequences);
}

}  // namespace

void add_data_order(CLI::App& data, Action& action) {
  constexpr std::int64_t kMostSteps = 1'000'000;
  const auto arguments = std::make_shared<OrderArguments>();
  auto* subcommand = data.add_subcommand("order", "Which tokens and documents a step of a run sees");
  arguments->config.add_to(*subcommand);
  subcommand->add_option("--step", arguments->step, "First step; steps count from 1")
      ->required()
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40));
  subcommand->add_option("--steps", arguments->steps, "How many steps")
      ->check(CLI::Range(std::int64_t{1}, kMostSteps))
      ->capture_default_str();
  subcommand->add_flag("--seen", arguments->seen,
                       "What the steps before it have seen of every domain, instead");
  subcommand->add_flag("--json", arguments->json, "A JSON list instead of a table");
  subcommand->footer("Example:\n  troupe data order configs/quickstart.yaml --step 120");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      std::fputs(answer(*arguments).c_str(), stdout);
      return kSuccess;
    };
  });
}

}  // namespace troupe::cli
