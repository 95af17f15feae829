#include "workers/preferences/pair_evaluator.h"

#include <algorithm>

#include "base/index.h"
#include "workers/step/step_exchange.h"

namespace troupe::workers {

PairEvaluator::PairEvaluator(model::Model& model, const data::TokenDataset& heldout,
                             const data::PairOrder& order, const std::vector<model::PairScores>& reference)
    : model_(model),
      heldout_(heldout),
      order_(order),
      reference_(reference),
      scorer_(model, heldout, order) {}

std::optional<EvaluationResult> PairEvaluator::evaluate(std::int64_t sequences,
                                                        const Interrupted& interrupted) {
  const data::TokenFileHeader& header = heldout_.header();
  const auto domains = std::ssize(header.domain_names);
  const std::int64_t loads = scorer_.load().size();
  const std::int64_t count = std::min(sequences, order_.sequences());
  const std::int64_t micro_batch = model_.shape().max_tokens / model_.shape().sequence_length;
  comm::Communicator& world = model_.world();
  // counts: load, pairs [domains], preferred [domains]; sums: losses
  StepExchange exchange(loads + 2 * domains, domains, world.size());
  const auto add = [&](const data::PlacedPair& placed, std::int64_t, const model::PairScores& scores) {
    const auto domain = at(header.document_domains[at(2 * placed.number)]);
    PreferencePair pair;
    if (!reference_.empty()) {
      const model::PairScores& before = reference_[at(placed.number)];
      pair.reference = before.chosen - before.rejected;
    }
    const double margin = model::margin_of(model_.options().objective, pair, scores);
    exchange.add(static_cast<std::int64_t>(domain), model::pair_loss(margin).loss);
    ++exchange.counts()[at(loads) + domain];
    exchange.counts()[at(loads + domains) + domain] += margin > 0.0 ? 1 : 0;
  };
  for (std::int64_t first = 0; first < count; first += micro_batch * world.size()) {
    if (interrupted()) return std::nullopt;
    const std::int64_t own = first + micro_batch * world.rank();
    scorer_.score(own, std::min(micro_batch, count - own), add);
    if (own < count) scorer_.load().add_to(exchange.counts().first(at(loads)));
  }
  exchange.reduce(world);

  EvaluationResult evaluation{.domains = {}, .load = scorer_.load()};
  const auto counts = exchange.counts();
  evaluation.load.assign(counts.first(at(loads)));
  for (std::int64_t domain = 0; domain < domains; ++domain) {
    const DomainResult sum{.nats = exchange.sum(domain),
                           .tokens = counts[at(loads + domain)],
                           .preferred = counts[at(loads + domains + domain)]};
    if (sum.tokens > 0) evaluation.domains[header.domain_names[at(domain)]] = sum;
  }
  return evaluation;
}

}  // namespace troupe::workers
