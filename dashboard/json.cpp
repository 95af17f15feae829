#include "dashboard/json.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>
#include <utility>

#include "layout/packed_counts.h"

namespace troupe::dashboard {

using nlohmann::json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json number(double value) { return std::isfinite(value) ? json(value) : json(); }

json numbers(const std::map<std::string, double>& values) {
  json result = json::object();
  for (const auto& [name, value] : values) result[name] = number(value);
  return result;
}

namespace {

constexpr int kLayerDigits = 6;  // of a layer's numbers; those of the step keep all

/// The same to so many significant digits.
json short_number(double value) {
  if (!std::isfinite(value)) return {};
  return std::strtod(fmt::format("{:.{}g}", value, kLayerDigits).c_str(), nullptr);
}

json short_numbers(const std::vector<double>& values) {
  json result = json::array();
  for (const double value : values) result.push_back(short_number(value));
  return result;
}

}  // namespace

json layer_columns(const std::vector<LayerRecord>& layers) {
  json columns = json::object();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerRecord& layer = layers[i];
    const auto put = [&](const std::string& name, json value) {
      json& column = columns[name];
      while (column.size() < i) column.push_back(nullptr);  // of layers that have none
      column.push_back(std::move(value));
    };
    put("layer", layer.layer);
    put("counts", layout::pack_counts(layer.counts));
    for (const auto& [name, value] : layer.metrics) put(name, short_number(value));
    if (layer.zero_compute > 0) put("zero_compute", layer.zero_compute);
    if (!layer.aux_losses.empty()) put("aux_losses", short_numbers(layer.aux_losses));
    if (!layer.dropped.empty()) put("dropped", layout::pack_counts(layer.dropped));
    if (!layer.domains.empty()) put("domain_counts", layout::pack_counts(layer.domains));
    if (!layer.co_activation.empty()) put("co_activation", layout::pack_counts(layer.co_activation));
  }
  return columns;
}

json to_json(const EvaluationRecord& evaluation) {
  const auto one = [](const DomainEvaluation& domain) {
    json object{{"eval_loss", number(domain.loss)},
                {"eval_bits_per_byte", number(domain.bits_per_byte)},
                {"perplexity", number(std::exp(domain.loss))},
                {"tokens", domain.tokens}};
    if (domain.accuracy) object["eval_preference_accuracy"] = number(*domain.accuracy);
    return object;
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

json to_json(const RestartRecord& restart) {
  return {{"epoch", restart.epoch},
          {"workers", restart.workers},
          {"failed_step", restart.failed_step},
          {"reason", restart.reason},
          {"rolled_back", restart.rolled_back}};
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
