// troupe_bigram_baseline CONFIG [--set KEY=VALUE ...] [--json]
// The held-out loss of interpolated bigram models that saw the same training tokens, in the same
// windows, as the run of a configuration, on the same evaluation set.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "base/index.h"
#include "base/signals.h"
#include "benchmarks/bigram.h"
#include "configs/load.h"
#include "data/batch_order.h"
#include "data/evaluation_order.h"
#include "data/sequence_reader.h"

namespace troupe::benchmarks {
namespace {

/// Sums over predicted tokens.
struct Loss {
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;
  double witten_bell = 0.0;  // nats
  double kneser_ney = 0.0;

  Loss& operator+=(const Loss& other) {
    tokens += other.tokens;
    bytes += other.bytes;
    witten_bell += other.witten_bell;
    kneser_ney += other.kneser_ney;
    return *this;
  }
};

/// Calls `visit(sequences, i)` for every target i that is not masked, of sequences 0..count-1.
template <class Visit>
void visit_targets(data::SequenceReader& reader, std::int64_t count, Visit&& visit) {
  for (std::int64_t number = 0; number < count; ++number) {
    const data::Sequences& sequences = reader.read(std::span(&number, 1));
    for (std::size_t i = 0; i < sequences.targets.size(); ++i) {
      if (sequences.targets[i] != data::kMaskedTarget) visit(sequences, i);
    }
  }
}

BigramCounts count_training_tokens(const configs::RunConfig& config, const data::TokenDataset& train) {
  const data::DataOptions& options = config.data;
  const data::BatchOrder order(train, options.sequence_length, static_cast<std::uint64_t>(config.run.seed),
                               options.domains);
  data::SequenceReader reader(train, order, options.sequence_length, options.document_mask);
  BigramCounts counts(train.header().vocab_size);
  visit_targets(reader, config.run.steps * config.batch.sequences,
                [&](const data::Sequences& sequences, std::size_t i) {
                  counts.add(sequences.tokens[i], sequences.targets[i]);
                });
  return counts;
}

/// [domains]
std::vector<Loss> evaluate(const configs::RunConfig& config, const data::TokenDataset& heldout,
                           const BigramCounts& counts) {
  const data::DataOptions& options = config.data;
  const data::EvaluationOrder order(heldout, options.sequence_length, config.evaluation.final_sequences);
  data::SequenceReader reader(heldout, order, options.sequence_length, options.document_mask);
  std::vector<Loss> losses(heldout.header().domain_names.size());
  visit_targets(reader, order.size(), [&](const data::Sequences& sequences, std::size_t i) {
    const std::int32_t previous = sequences.tokens[i];
    const std::int32_t next = sequences.targets[i];
    losses[at(sequences.domains[i])] += {.tokens = 1,
                                         .bytes = heldout.header().token_bytes[at(next)],
                                         .witten_bell = -std::log(counts.witten_bell(previous, next)),
                                         .kneser_ney = -std::log(counts.kneser_ney(previous, next))};
  });
  return losses;
}

double nats_per_token(double nats, const Loss& loss) { return nats / static_cast<double>(loss.tokens); }
double bits_per_byte(double nats, const Loss& loss) {
  return nats / std::numbers::ln2 / static_cast<double>(loss.bytes);
}

nlohmann::json to_json(double nats, const Loss& loss) {
  return {{"nats_per_token", nats_per_token(nats, loss)}, {"bits_per_byte", bits_per_byte(nats, loss)}};
}

nlohmann::json to_json(const std::string& domain, const Loss& loss) {
  return {{"domain", domain},
          {"tokens", loss.tokens},
          {"bytes", loss.bytes},
          {"witten_bell", to_json(loss.witten_bell, loss)},
          {"kneser_ney", to_json(loss.kneser_ney, loss)}};
}

void print_row(const std::string& domain, const Loss& loss) {
  fmt::print("{:<20} {:>9} {:>10.4f} {:>10.4f} {:>10.4f} {:>10.4f}\n", domain, loss.tokens,
             nats_per_token(loss.witten_bell, loss), bits_per_byte(loss.witten_bell, loss),
             nats_per_token(loss.kneser_ney, loss), bits_per_byte(loss.kneser_ney, loss));
}

void print_table(const std::vector<std::string>& names, const std::vector<Loss>& losses,
                 const BigramCounts& counts) {
  fmt::print("bigram models of {} training tokens\n\n", counts.total());
  fmt::print("{:<30} {:>21} {:>21}\n", "", "Witten-Bell", "Kneser-Ney");
  fmt::print("{:<20} {:>9} {:>10} {:>10} {:>10} {:>10}\n", "domain", "tokens", "nats/token", "bits/byte",
             "nats/token", "bits/byte");
  for (std::size_t domain = 0; domain < losses.size(); ++domain) {
    if (losses[domain].tokens > 0) print_row(names[domain], losses[domain]);
  }
  print_row("all", std::accumulate(losses.begin(), losses.end(), Loss{},
                                   [](Loss sum, const Loss& loss) { return sum += loss; }));
}

void print_json(const std::vector<std::string>& names, const std::vector<Loss>& losses,
                const BigramCounts& counts) {
  nlohmann::json domains = nlohmann::json::array();
  Loss all;
  for (std::size_t domain = 0; domain < losses.size(); ++domain) {
    if (losses[domain].tokens > 0) domains.push_back(to_json(names[domain], losses[domain]));
    all += losses[domain];
  }
  const nlohmann::json value{
      {"training_tokens", counts.total()}, {"domains", domains}, {"all", to_json("all", all)}};
  fmt::print("{}\n", value.dump(2));
}

int run(int argc, char** argv) {
  CLI::App program{"Held-out loss of bigram models that saw a run's training tokens"};
  std::string path;
  std::vector<std::string> overrides;
  bool json = false;
  program.add_option("CONFIG", path, "Configuration of the run, for example configs/quickstart.yaml")
      ->required();
  program.add_option("--set", overrides, "KEY=VALUE: another value for an option; may be repeated")
      ->allow_extra_args(false);
  program.add_flag("--json", json, "One JSON object instead of a table");
  program.footer("Example:\n  troupe_bigram_baseline configs/quickstart.yaml");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  }
  const configs::RunConfig config = configs::load_config(path, overrides);
  const std::filesystem::path folder = config.data.corpus;
  const data::TokenDataset train(folder / data::kTrainFile);
  const data::TokenDataset heldout(folder / data::kHeldoutFile);
  data::check_same_corpus(train, heldout);
  const BigramCounts counts = count_training_tokens(config, train);
  (json ? print_json : print_table)(heldout.header().domain_names, evaluate(config, heldout, counts), counts);
  return 0;
}

}  // namespace
}  // namespace troupe::benchmarks

int main(int argc, char** argv) {
  troupe::signals::take_over();
  try {
    return troupe::benchmarks::run(argc, argv);
  } catch (const troupe::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.code() == troupe::ErrorCode::kConfig ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "troupe_bigram_baseline: %s\n", error.what());
    return 1;
  }
}
