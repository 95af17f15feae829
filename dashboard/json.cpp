#include "dashboard/json.h"

#include <cmath>
#include <numeric>

namespace troupe::dashboard {

using nlohmann::json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json number(double value) { return std::isfinite(value) ? json(value) : json(); }

json numbers(const std::map<std::string, double>& values) {
  json result = json::object();
  for (const auto& [name, value] : values) result[name] = number(value);
  return result;
}

json to_json(const LayerRecord& layer) {
  json result = numbers(layer.metrics);
  result["layer"] = layer.layer;
  result["counts"] = layer.counts;
  if (!layer.dropped.empty()) result["dropped"] = layer.dropped;
  if (layer.zero_compute > 0) result["zero_compute"] = layer.zero_compute;
  if (!layer.aux_losses.empty()) result["aux_losses"] = layer.aux_losses;
  if (!layer.domains.empty()) result["domain_counts"] = layer.domains;
  if (!layer.co_activation.empty()) result["co_activation"] = layer.co_activation;
  return result;
}

json to_json(const EvaluationRecord& evaluation) {
  const auto one = [](const DomainEvaluation& domain) {
    return json{{"eval_loss", number(domain.loss)},
                {"eval_bits_per_byte", number(domain.bits_per_byte)},
                {"perplexity", number(std::exp(domain.loss))},
                {"tokens", domain.tokens}};
  };
  json domains = json::object();
  for (const auto& [name, domain] : evaluation.domains) domains[name] = one(domain);
  json layers = json::array();
  for (const LayerEvaluation& layer : evaluation.layers) {
    layers.push_back(numbers(layer.metrics));
    layers.back()["layer"] = layer.layer;
  }
  return {
      {"step", evaluation.step}, {"total", one(evaluation.total)}, {"domains", domains}, {"layers", layers}};
}

json to_json(const SampleRecord& sample) {
  return {{"step", sample.step}, {"prompt", sample.prompt}, {"text", sample.text}};
}

json to_json(const CheckpointRecord& checkpoint) {
  return {{"step", checkpoint.step},
          {"seconds", number(checkpoint.seconds)},
          {"bytes", checkpoint.bytes},
          {"error", checkpoint.error}};
}

json to_json(const WorkerRecord& worker) {
  return {{"rank", worker.rank},
          {"host", worker.host},
          {"process_id", worker.process_id},
          {"heartbeat_age_seconds", number(worker.heartbeat_age_seconds)},
          {"suspected", worker.suspected}};
}

std::vector<float> relative_load(const std::vector<std::int64_t>& counts) {
  const double total = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  std::vector<float> load;
  for (const std::int64_t count : counts) {
    const double ratio =
        total == 0.0 ? 0.0 : static_cast<double>(count) * static_cast<double>(counts.size()) / total;
    load.push_back(static_cast<float>(std::round(ratio * 1000.0) / 1000.0));
  }
  return load;
}

}  // namespace troupe::dashboard
