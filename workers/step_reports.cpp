#include "workers/step_reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <string>

#include "base/index.h"
#include "model/cost.h"
#include "model/parameters.h"
#include "workers/memory.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kShareSteps = 10;

/// "aux_loss/0_load_balance_global": place in the configuration, kind, and scope where the kind has one.
std::string metric_name(std::size_t index, const experts::AuxLossOptions& loss) {
  std::string name = fmt::format("aux_loss/{}_{}", index, experts::kAuxLossKindNames[at(loss.kind)]);
  if (loss.kind == experts::AuxLossKind::kLoadBalance)
    name += fmt::format("_{}", experts::kAuxScopeNames[at(loss.scope)]);
  return name;
}

/// Their mean, and each by itself where there are several.
void add_aux_losses(const std::vector<double>& values, const std::vector<experts::AuxLossOptions>& losses,
                    std::map<std::string, double>& metrics) {
  if (values.empty()) return;
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum += values[i];
    if (values.size() > 1) metrics[metric_name(i, losses[i])] = values[i];
  }
  metrics["aux_loss"] = sum / static_cast<double>(values.size());
}

std::map<std::string, double> metrics_of(const StepResult& result, const TrainingCounters& counters,
                                         std::int64_t batch_tokens,
                                         const std::vector<experts::AuxLossOptions>& losses) {
  const double step_seconds = std::accumulate(result.seconds.begin(), result.seconds.end(), 0.0);
  std::map<std::string, double> metrics{
      {"loss", result.loss},
      {"loss_lm", result.loss_lm},
      {"grad_norm", result.grad_norm},
      {"learning_rate", result.learning_rate},
      {"router_z_loss", result.router_z_loss},
      {"tokens_total", static_cast<double>(counters.tokens)},
      {"step_seconds", step_seconds},
      {"tokens_per_second", static_cast<double>(batch_tokens) / step_seconds},
      {"memory_bytes", static_cast<double>(resident_bytes())},
      {"skipped_steps_total", static_cast<double>(counters.skipped())},
  };
  add_aux_losses(result.aux_loss, losses, metrics);
  return metrics;
}

void add_losses(const StepResult& result, std::vector<comm::LayerLoad>& loads) {
  const std::size_t losses = result.aux_loss.size();
  for (std::size_t layer = 0; layer < loads.size(); ++layer) {
    const auto layer_losses = std::span(result.layer_aux_loss).subspan(layer * losses, losses);
    loads[layer].aux_loss.assign(layer_losses.begin(), layer_losses.end());
    loads[layer].router_z = result.layer_router_z[layer];
  }
}

void add(std::span<const std::int64_t> values, std::span<std::int64_t> into) {
  std::ranges::transform(values, into, into.begin(), std::plus());
}

/// rows: [rows * choices]; returns [rows * experts]
std::vector<std::int64_t> routed_columns(std::span<const std::int64_t> rows, const experts::MoeOptions& moe) {
  std::vector<std::int64_t> result;
  const auto choices = at(moe.choices());
  for (std::size_t begin = 0; begin < rows.size(); begin += choices) {
    const auto row = rows.subspan(begin, at(moe.experts));
    result.insert(result.end(), row.begin(), row.end());
  }
  return result;
}

std::map<std::string, double> phases_of(const PhaseSeconds& seconds) {
  std::map<std::string, double> phases;
  for (std::size_t phase = 0; phase < seconds.size(); ++phase) phases[kPhaseNames[phase]] = seconds[phase];
  return phases;
}

}  // namespace

comm::StepFinished StepReports::step(const StepResult& result, bool saved) {
  const TrainingOptions& options = trainer_.options();
  comm::StepFinished message;
  message.rank = trainer_.model().rank();
  message.step = result.step;
  message.phase_seconds = phases_of(result.seconds);
  if (message.rank != 0) return message;
  const TrainingCounters& counters = trainer_.state().counters;
  const std::int64_t batch_tokens = options.batch.sequences() * options.data.sequence_length;
  message.tokens_total = counters.tokens;
  message.metrics = metrics_of(result, counters, batch_tokens, options.model.moe.aux_loss);
  if (options.model.objective.compares()) {
    message.metrics["preference_margin"] = result.margin;
    message.metrics["preference_accuracy"] = result.accuracy;
  }
  if (options.model.mtp.depth > 0) message.metrics["mtp_loss"] = result.mtp_loss;
  message.metrics["mfu"] = mfu(message.metrics.at("step_seconds"));
  message.skip_reason = result.skip_reason;
  message.loads = layer_loads(result.load, trainer_.model());
  add_losses(result, message.loads);
  add_shares(result, saved, message.loads);
  return message;
}

double StepReports::mfu(double step_seconds) const {
  const TrainingOptions& options = trainer_.options();
  const std::int64_t length = options.data.sequence_length;
  const double flops = static_cast<double>(options.batch.sequences() * length) *
                       model::training_flops_per_token(options.model, options.vocab_size, length);
  return flops / step_seconds / peak_flops_;
}

comm::EvaluationFinished evaluation_report(std::int64_t step, const EvaluationResult& result,
                                           const model::Model& model) {
  comm::EvaluationFinished message{.step = step, .domains = {}, .loads = layer_loads(result.load, model)};
  for (int layer = 0; layer < result.load.domains.layers(); ++layer)
    message.loads[at(layer)].domains = routed_columns(result.load.domains.layer(layer), model.options().moe);
  for (const auto& [domain, sum] : result.domains) {
    message.domains[domain] = {
        .nats = sum.nats, .tokens = sum.tokens, .bytes = sum.bytes, .preferred = sum.preferred};
  }
  return message;
}

std::vector<comm::LayerLoad> layer_loads(const layout::LoadStatistics& load, const model::Model& model) {
  std::vector<comm::LayerLoad> result;
  const model::ModelOptions& options = model.options();
  const std::span<const float> bias = model.bias();
  const auto experts = at(options.moe.experts);
  const auto columns = at(load.counts.columns());
  for (int layer = 0; layer < load.counts.layers(); ++layer) {
    const auto all = load.counts.layer(layer);
    const auto dropped = load.dropped.layer(layer);
    const auto layer_bias = bias.subspan(at(layer) * columns, experts);
    comm::LayerLoad one;
    one.layer = model::layer_of_moe(options, layer);
    one.counts.assign(all.begin(), all.begin() + std::ssize(layer_bias));
    one.bias.assign(layer_bias.begin(), layer_bias.end());
    one.zero_compute = std::accumulate(all.begin() + std::ssize(layer_bias), all.end(), std::int64_t{0});
    one.dropped.assign(dropped.begin(), dropped.end());
    result.push_back(std::move(one));
  }
  return result;
}

/// The wide tables, every few steps: they change slowly, and a report of each would be mostly of them. Before
/// a save, so that a run that resumes there has told all.
void StepReports::add_shares(const StepResult& result, bool saved, std::vector<comm::LayerLoad>& loads) {
  if (untold_.size() != result.load.size()) {
    untold_ = result.load;
  } else {
    add(result.load.domains.all(), untold_.domains.all());
    add(result.load.co_activation.all(), untold_.co_activation.all());
  }
  if (result.step % kShareSteps != 0 && !saved) return;
  for (int layer = 0; layer < untold_.counts.layers(); ++layer) {
    comm::LayerLoad& load = loads[at(layer)];
    load.domains = routed_columns(untold_.domains.layer(layer), trainer_.options().model.moe);
    const auto pairs = untold_.co_activation.layer(layer);
    load.co_activation.assign(pairs.begin(), pairs.end());
  }
  untold_.clear();
}

}  // namespace troupe::workers
