#include "dashboard/prometheus.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <string_view>

#include "dashboard/json.h"

namespace troupe::dashboard {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') result += '\\';
    result += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return result;
}

std::string value_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

/// Writes families: their head once, then their samples.
class Writer {
 public:
  void family(std::string_view name, std::string_view help) {
    name_ = fmt::format("troupe_{}", name);
    const bool counter = name.ends_with("_total");
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name_, help, name_, counter ? "counter" : "gauge");
  }
  void sample(const Labels& labels, double value) {
    std::string joined;
    for (const auto& [label, content] : labels) {
      joined += fmt::format("{}{}=\"{}\"", joined.empty() ? "" : ",", label, escaped(content));
    }
    text_ += joined.empty() ? fmt::format("{} {}\n", name_, value_text(value))
                            : fmt::format("{}{{{}}} {}\n", name_, joined, value_text(value));
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

struct Metric {
  const char* name;
  const char* help;
};

constexpr Metric kStepMetrics[] = {
    {"loss", "Training loss of the last step, everything that is minimised."},
    {"loss_lm", "Cross-entropy of the last step, nats per token; of preferences, per pair."},
    {"preference_margin", "Mean margin of the last step's pairs of answers."},
    {"preference_accuracy", "Part of the last step's pairs whose chosen answer is preferred."},
    {"mtp_loss", "Cross-entropy of multi-token prediction, nats per token, mean of its modules."},
    {"aux_loss", "Auxiliary load-balancing loss, layer mean without coefficient; 1 is balanced."},
    {"router_z_loss", "Mean squared log-sum-exp of router logits, layer mean."},
    {"learning_rate", "Learning rate of the last step."},
    {"grad_norm", "Global gradient norm before clipping."},
    {"step_seconds", "Duration of the last step."},
    {"tokens_per_second", "Training throughput of the last step."},
    {"mfu", "Model FLOPs utilisation of the last step."},
    {"memory_bytes", "Resident memory of worker 0."},
    {"tokens_total", "Tokens consumed since the run's start."},
    {"skipped_steps_total", "Steps that were skipped: values not finite, or a loss spike."},
};

constexpr Metric kLayerMetrics[] = {
    {"max_violation_batch", "max(c) / mean(c) - 1 of the last batch."},
    {"max_violation_window", "The same of the counts summed over the last 50 steps."},
    {"load_entropy", "Entropy of the load over ln(experts); 1 is balanced."},
    {"dead_experts", "Experts without a token in the last 100 steps."},
    {"load_p05", "5 % quantile over experts of c / mean(c)."},
    {"load_p50", "Median over experts of c / mean(c)."},
    {"load_p95", "95 % quantile over experts of c / mean(c)."},
    {"bias_min", "Smallest balance bias."},
    {"bias_max", "Largest balance bias."},
    {"router_z", "Mean squared log-sum-exp of router logits."},
    {"drop_ratio", "Dropped pairs over pairs routed to experts."},
    {"zero_compute_ratio", "Pairs routed to zero-compute experts over all pairs."},
    {"aux_loss_layer", "Auxiliary losses of the layer, their mean without coefficients."},
};

std::optional<double> find(const std::map<std::string, double>& values, const char* name) {
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

/// The step's "aux_loss/…", one series each.
void write_aux_losses(Writer& out, const StepRecord& step) {
  constexpr std::string_view kPrefix = "aux_loss/";
  bool first = true;
  for (const auto& [name, value] : step.metrics) {
    if (!name.starts_with(kPrefix)) continue;
    if (first) out.family("aux_loss_by_kind", "Each auxiliary loss, layer mean without coefficient.");
    first = false;
    out.sample({{"loss", name.substr(kPrefix.size())}}, value);
  }
}

void write_step(Writer& out, const StepRecord& step) {
  out.family("step", "Last finished step.");
  out.sample({}, static_cast<double>(step.step));
  for (const auto& [name, help] : kStepMetrics) {
    if (const auto value = find(step.metrics, name)) {
      out.family(name, help);
      out.sample({}, *value);
    }
  }
  write_aux_losses(out, step);
}

void write_layers(Writer& out, const StepRecord& step) {
  if (step.layers.empty()) return;
  for (const auto& [name, help] : kLayerMetrics) {
    out.family(name, help);
    for (const LayerRecord& layer : step.layers) {
      if (const auto value = find(layer.metrics, name))
        out.sample({{"layer", std::to_string(layer.layer)}}, *value);
    }
  }
}

void write_experts(Writer& out, const StepRecord& step) {
  if (step.layers.empty()) return;
  const auto each = [&](const auto& values_of) {
    for (const LayerRecord& layer : step.layers) {
      std::size_t expert = 0;
      for (const auto value : values_of(layer)) {
        out.sample({{"layer", std::to_string(layer.layer)}, {"expert", std::to_string(expert++)}},
                   static_cast<double>(value));
      }
    }
  };
  out.family("expert_load", "Tokens of an expert in the last batch over the layer's mean.");
  each([](const LayerRecord& layer) { return relative_load(layer.counts); });
  out.family("expert_bias", "Balance bias of an expert.");
  each([](const LayerRecord& layer) { return layer.bias; });
}

void write_evaluation(Writer& out, const EvaluationRecord& evaluation) {
  const auto family = [&](const char* name, const char* help, const auto& value_of) {
    out.family(name, help);
    out.sample({{"domain", "all"}}, value_of(evaluation.total));
    for (const auto& [domain, result] : evaluation.domains)
      out.sample({{"domain", domain}}, value_of(result));
  };
  family("eval_loss", "Held-out loss by domain, nats per token; of preferences, per pair.",
         [](const DomainEvaluation& d) { return d.loss; });
  // Not eval_bits_per_byte: to Prometheus' checker bits are no base unit.
  family("eval_bpb", "Held-out loss by domain, bits per byte of text.",
         [](const DomainEvaluation& d) { return d.bits_per_byte; });
  family("perplexity", "exp of the held-out loss by domain.",
         [](const DomainEvaluation& d) { return std::exp(d.loss); });
  if (!evaluation.total.accuracy) return;
  family("eval_preference_accuracy",
         "Part of the held-out pairs whose chosen answer is preferred, by domain.",
         [](const DomainEvaluation& d) { return d.accuracy.value_or(std::nan("")); });
}

void write_control_plane(Writer& out, const PrometheusView& view) {
  out.family("workers", "Workers that are connected.");
  out.sample({}, static_cast<double>(view.workers.size()));
  out.family("epoch", "Layouts that this run has had.");
  out.sample({}, static_cast<double>(view.info.epoch));
  out.family("heartbeat_age_seconds", "Time since a worker was last heard of.");
  for (const auto& worker : view.workers) {
    out.sample({{"worker", std::to_string(worker.rank)}, {"host", worker.host}},
               worker.heartbeat_age_seconds);
  }
  out.family("phase_seconds", "Time of the last step by worker and phase.");
  for (const auto& [rank, phases] : view.phases) {
    for (const auto& [phase, seconds] : phases)
      out.sample({{"worker", std::to_string(rank)}, {"phase", phase}}, seconds);
  }
  if (!view.stragglers.empty())
    out.family("straggler_factor", "How many times as long as the others a slow worker takes in a phase.");
  for (const auto& slow : view.stragglers)
    out.sample({{"worker", std::to_string(slow.rank)}, {"phase", slow.phase}}, slow.factor);
  out.family("restarts_total", "Times that lost workers were replaced.");
  out.sample({}, static_cast<double>(view.restarts));
  out.family("roll_backs_total", "Times that training diverged and went back to a checkpoint.");
  out.sample({}, static_cast<double>(view.roll_backs));
  out.family("checkpoint_failures_total", "Checkpoints that could not be written.");
  out.sample({}, static_cast<double>(view.checkpoint_failures));
  if (view.checkpoint == nullptr) return;
  out.family("checkpoint_seconds", "Duration of the last checkpoint.");
  out.sample({}, view.checkpoint->seconds);
  out.family("checkpoint_bytes", "Size of the last checkpoint.");
  out.sample({}, static_cast<double>(view.checkpoint->bytes));
}

}  // namespace

std::string prometheus_text(const PrometheusView& view, bool per_expert) {
  Writer out;
  out.family("run_info", "The run, in labels.");
  out.sample({{"run", view.info.name}, {"state", view.state}}, 1.0);
  write_step(out, view.step);
  write_layers(out, view.step);
  if (per_expert) write_experts(out, view.step);
  if (view.evaluation != nullptr) write_evaluation(out, *view.evaluation);
  write_control_plane(out, view);
  return out.text();
}

}  // namespace troupe::dashboard
