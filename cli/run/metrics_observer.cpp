#include "cli/run/metrics_observer.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <span>

#include "base/error.h"
#include "base/log.h"

namespace troupe::cli {
namespace {

dashboard::LayerRecord layer_record(const comm::LayerLoad& load,
                                    const coordinator::LayerLoadStatistics& statistics) {
  return {.layer = load.layer,
          .counts = load.counts,
          .bias = load.bias,
          .dropped = load.dropped,
          .zero_compute = load.zero_compute,
          .aux_losses = load.aux_loss,
          .domains = load.domains,
          .co_activation = load.co_activation,
          .metrics = {{"max_violation_batch", statistics.max_violation_batch},
                      {"max_violation_window", statistics.max_violation_window},
                      {"load_entropy", statistics.load_entropy},
                      {"dead_experts", static_cast<double>(statistics.dead_experts)},
                      {"load_p05", statistics.load_p05},
                      {"load_p50", statistics.load_p50},
                      {"load_p95", statistics.load_p95},
                      {"bias_min", statistics.bias_min},
                      {"bias_max", statistics.bias_max},
                      {"router_z", statistics.router_z},
                      {"drop_ratio", statistics.drop_ratio},
                      {"zero_compute_ratio", statistics.zero_compute_ratio},
                      {"aux_loss_layer", statistics.aux_loss_layer}}};
}

dashboard::DomainEvaluation domain_evaluation(const coordinator::LossSummary& loss) {
  return {.loss = loss.nats_per_token,
          .bits_per_byte = loss.bits_per_byte,
          .tokens = loss.tokens,
          .accuracy = loss.accuracy};
}

std::string severity_name(coordinator::Severity severity) {
  switch (severity) {
    case coordinator::Severity::kInfo:
      return "info";
    case coordinator::Severity::kWarning:
      return "warning";
    case coordinator::Severity::kError:
      return "error";
  }
  return "info";
}

std::vector<dashboard::LayerEvaluation> layer_evaluations(const coordinator::EvaluationSummary& evaluation) {
  std::vector<dashboard::LayerEvaluation> layers;
  for (const auto& [layer, violation] : evaluation.max_violation_global) {
    auto& one = layers.emplace_back();
    one.layer = layer;
    one.metrics["max_violation_global"] = violation;
    const auto found = evaluation.specialization.find(layer);
    if (found == evaluation.specialization.end()) continue;
    one.metrics["mutual_information_bits"] = found->second.mutual_information;
    one.metrics["mutual_information_limit_bits"] = found->second.mutual_information_limit;
    one.metrics["domain_distance"] = found->second.domain_distance;
  }
  return layers;
}

}  // namespace

MetricsObserver::MetricsObserver(dashboard::MetricsHub& hub, dashboard::JsonlSink& file,
                                 const std::filesystem::path& samples, const Clock& clock)
    : hub_(hub),
      file_(file),
      samples_path_(samples),
      samples_(FileDescriptor::open(samples, O_WRONLY | O_CREAT | O_APPEND)),
      clock_(clock) {}

void MetricsObserver::keep(const std::filesystem::path& file, const std::function<void()>& write) {
  std::int64_t& lost = lost_[file];
  try {
    write();
    if (lost > 0) log::warn("{} can be written again; {} entries are missing", file.string(), lost);
    lost = 0;
  } catch (const Error& error) {
    if (++lost == 1) log::warn("{}; training goes on without", error.what());
  }
}

void MetricsObserver::state_changed(coordinator::RunState state) {
  hub_.set_state(std::string(coordinator::to_string(state)));
}

void MetricsObserver::step_finished(const coordinator::StepView& step) {
  dashboard::StepRecord record{.time = step.time,
                               .step = step.report.step,
                               .tokens = step.report.tokens_total,
                               .metrics = step.report.metrics,
                               .layers = {}};
  for (std::size_t i = 0; i < step.layers.size(); ++i) {
    record.layers.push_back(layer_record(step.report.loads[i], step.layers[i]));
  }
  keep(file_.path(), [&] { file_.write(record); });
  hub_.record(record);
}

void MetricsObserver::worker_step_finished(const comm::StepFinished& report) {
  hub_.record_phases(report.rank, report.phase_seconds);
}

void MetricsObserver::evaluation_finished(const coordinator::EvaluationSummary& evaluation) {
  dashboard::EvaluationRecord record{.time = clock_.wall_seconds(),
                                     .step = evaluation.step,
                                     .total = domain_evaluation(evaluation.overall),
                                     .domains = {}};
  for (const auto& [domain, loss] : evaluation.domains) record.domains[domain] = domain_evaluation(loss);
  record.layers = layer_evaluations(evaluation);
  keep(file_.path(), [&] { file_.write(record); });
  hub_.record(record);
}

void MetricsObserver::sample_finished(const comm::SampleFinished& sample) {
  const std::string text = fmt::format("== step {}\n{}{}\n\n", sample.step, sample.prompt, sample.text);
  keep(samples_path_, [&] { append_all(samples_, std::as_bytes(std::span(text)), samples_path_); });
  hub_.record(dashboard::SampleRecord{.step = sample.step, .prompt = sample.prompt, .text = sample.text});
}

void MetricsObserver::checkpoint_settled(const coordinator::CheckpointView& checkpoint) {
  hub_.record(dashboard::CheckpointRecord{.step = checkpoint.step,
                                          .seconds = checkpoint.seconds,
                                          .bytes = checkpoint.bytes,
                                          .error = checkpoint.error});
}

void MetricsObserver::membership_changed(const coordinator::MembershipView& membership) {
  std::vector<dashboard::WorkerRecord> workers;
  for (const auto& worker : membership.workers) {
    for (std::int64_t rank = worker.first_rank; rank < worker.first_rank + worker.ranks; ++rank) {
      workers.push_back({.rank = rank,
                         .host = worker.host,
                         .process_id = worker.process_id,
                         .heartbeat_age_seconds = worker.heartbeat_age_seconds,
                         .suspected = worker.suspected});
    }
  }
  hub_.set_workers(std::move(workers), membership.epoch);
}

void MetricsObserver::stragglers_changed(const std::map<std::int64_t, coordinator::Straggler>& stragglers) {
  std::vector<dashboard::StragglerRecord> records;
  records.reserve(stragglers.size());
  for (const auto& [rank, slow] : stragglers)
    records.push_back({.rank = rank, .phase = slow.phase, .factor = slow.factor()});
  hub_.set_stragglers(std::move(records));
}

void MetricsObserver::restarted(const dashboard::RestartRecord& restart) {
  keep(file_.path(), [&] { file_.write(restart); });
  hub_.record(restart);
}

void MetricsObserver::note(coordinator::Severity severity, const std::string& text) {
  hub_.note(severity_name(severity), text);
}

}  // namespace troupe::cli
