#include "cli/data_order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/config_arguments.h"
#include "cli/exit_codes.h"
#include "data/batch_order.h"
#include "data/token_dataset.h"

namespace troupe::cli {
namespace {

struct OrderArguments {
  ConfigArguments config;
  std::int64_t step = 1;
  std::int64_t steps = 1;
  bool json = false;
};

/// A sequence of a step, and where it lies in the training file. It predicts `sequence_length` tokens,
/// each from the one before it, beginning with the one after `first_token`.
struct PlacedSequence {
  std::int64_t step;
  std::int64_t number;  // of the run
  std::int64_t first_token;
  std::int64_t first_document;
  std::int64_t last_document;
  std::vector<std::string> domains;
};

std::vector<std::string> domains_of(const data::TokenFileHeader& header, std::int64_t first_document,
                                    std::int64_t last_document) {
  const auto domain = [&](std::int64_t document) {
    return static_cast<std::size_t>(header.document_domains[static_cast<std::size_t>(document)]);
  };
  const auto begin = header.domain_names.begin();  // documents are sorted by domain
  return {begin + static_cast<std::ptrdiff_t>(domain(first_document)),
          begin + static_cast<std::ptrdiff_t>(domain(last_document)) + 1};
}

std::vector<PlacedSequence> sequences_of(const OrderArguments& arguments) {
  const configs::RunConfig config = arguments.config.load();
  const std::int64_t length = config.data.sequence_length;
  const data::TokenDataset train(std::filesystem::path(config.data.corpus) / data::kTrainFile);
  const data::BatchOrder order(train, length, static_cast<std::uint64_t>(config.run.seed),
                               config.data.domains);
  std::vector<PlacedSequence> placed;
  const std::int64_t begin = (arguments.step - 1) * config.batch.sequences;
  for (std::int64_t number = begin; number < begin + arguments.steps * config.batch.sequences; ++number) {
    const std::int64_t first_token = order.window(number) * length;
    const std::int64_t first = train.document_at(first_token);
    const std::int64_t last = train.document_at(first_token + length);
    placed.push_back({.step = number / config.batch.sequences + 1,
                      .number = number,
                      .first_token = first_token,
                      .first_document = first,
                      .last_document = last,
                      .domains = domains_of(train.header(), first, last)});
  }
  return placed;
}

std::string to_json(const std::vector<PlacedSequence>& sequences) {
  nlohmann::json rows = nlohmann::json::array();
  for (const PlacedSequence& sequence : sequences) {
    rows.push_back({{"step", sequence.step},
                    {"sequence", sequence.number},
                    {"first_token", sequence.first_token},
                    {"first_document", sequence.first_document},
                    {"last_document", sequence.last_document},
                    {"domains", sequence.domains}});
  }
  return rows.dump(2) + "\n";
}

std::string to_text(const std::vector<PlacedSequence>& sequences) {
  std::string text = fmt::format("{:>8} {:>10} {:>14}  {:<20} {}\n", "step", "sequence", "first token",
                                 "documents", "domains");
  for (const PlacedSequence& sequence : sequences) {
    text +=
        fmt::format("{:>8} {:>10} {:>14}  {:<20} {}\n", sequence.step, sequence.number, sequence.first_token,
                    fmt::format("{} to {}", sequence.first_document, sequence.last_document),
                    fmt::join(sequence.domains, ", "));
  }
  return text;
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
  subcommand->add_flag("--json", arguments->json, "A JSON list instead of a table");
  subcommand->footer("Example:\n  troupe data order configs/quickstart.yaml --step 120");
  subcommand->callback([arguments, &action] {
    action = [arguments] {
      const auto sequences = sequences_of(*arguments);
      std::fputs((arguments->json ? to_json(sequences) : to_text(sequences)).c_str(), stdout);
      return kSuccess;
    };
  });
}

}  // namespace troupe::cli
