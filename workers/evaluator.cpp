#include "workers/evaluator.h"

#include <algorithm>
#include <numeric>

#include "base/index.h"
#include "data/sequence_reader.h"
#include "workers/step/batch_loader.h"
#include "workers/step/step_exchange.h"

namespace troupe::workers {

struct Evaluator::Run {
  Run(const model::Model& model, const data::TokenDataset& heldout, bool document_mask,
      std::int64_t sequences, std::int64_t count_fields)
      : order(heldout, model.shape().sequence_length, sequences),
        reader(heldout, order, model.shape().sequence_length, document_mask),
        micro_batch(model.shape().max_tokens / model.shape().sequence_length),
        microbatches((order.size() + micro_batch - 1) / micro_batch),
        domains(std::ssize(heldout.header().domain_names)),
        numbers(at(micro_batch)),
        exchange(count_fields + 2 * domains, domains, model.world().size()) {}

  data::EvaluationOrder order;
  data::SequenceReader reader;
  std::int64_t micro_batch;
  std::int64_t microbatches;
  std::int64_t domains;
  std::vector<std::int64_t> numbers;  // sequences of the current microbatch
  StepExchange exchange;              // counts: load, tokens [domains], bytes [domains]; sums: nats
};

Evaluator::Evaluator(model::Model& model, const data::TokenDataset& heldout, bool document_mask)
    : model_(model),
      heldout_(heldout),
      document_mask_(document_mask),
      result_(model.transformer().make_result()),
      token_nll_(at(model.shape().max_tokens)) {}

EvaluationResult Evaluator::evaluate(std::int64_t sequences) {
  return *evaluate(sequences, [] { return false; });
}

std::optional<EvaluationResult> Evaluator::evaluate(std::int64_t sequences, const Interrupted& interrupted) {
  const auto loads = result_.load.size();
  Run run(model_, heldout_, document_mask_, sequences, loads);
  const comm::Communicator& world = model_.world();
  for (std::int64_t first = 0; first < run.microbatches; first += world.size()) {
    if (interrupted()) return std::nullopt;
    evaluate_microbatch(run, first + world.rank());
  }
  run.exchange.reduce(model_.world());

  EvaluationResult evaluation{.domains = {}, .load = result_.load};
  const auto counts = run.exchange.counts();
  evaluation.load.assign(counts.first(at(loads)));
  for (std::int64_t domain = 0; domain < run.domains; ++domain) {
    DomainResult sum{.nats = run.exchange.sum(domain),
                     .tokens = counts[at(loads + domain)],
                     .bytes = counts[at(loads + run.domains + domain)]};
    if (sum.tokens > 0) evaluation.domains[heldout_.header().domain_names[at(domain)]] = sum;
  }
  return evaluation;
}

void Evaluator::evaluate_microbatch(Run& run, std::int64_t microbatch) {
  if (microbatch >= run.microbatches) {  // joins the others' collectives with nothing
    model_.transformer().evaluate({}, model_.frozen_context(), model_.weights(), {}, result_);
    return;
  }
  // The last microbatch may be shorter: nothing but the evaluation set is routed and counted.
  const std::int64_t first = microbatch * run.micro_batch;
  run.numbers.resize(at(std::min(run.micro_batch, run.order.size() - first)));
  std::iota(run.numbers.begin(), run.numbers.end(), first);
  const data::Sequences& sequences = run.reader.read(run.numbers);
  const auto tokens = run.numbers.size() * at(sequences.length);
  model_.transformer().evaluate(as_input(sequences), model_.frozen_context(), model_.weights(),
                                std::span(token_nll_).first(tokens), result_);

  const auto counts = run.exchange.counts();
  const auto loads = at(result_.load.size());
  result_.load.add_to(counts.first(loads));
  std::vector<double> nats(at(run.domains));
  for (std::size_t t = 0; t < tokens; ++t) {
    if (sequences.targets[t] == data::kMaskedTarget) continue;
    const auto domain = at(sequences.domains[t]);
    nats[domain] += token_nll_[t];
    ++counts[loads + domain];
    counts[loads + nats.size() + domain] += heldout_.header().token_bytes[at(sequences.targets[t])];
  }
  for (std::int64_t d = 0; d < run.domains; ++d) run.exchange.add(d, nats[at(d)]);
}

}  // namespace troupe::workers
