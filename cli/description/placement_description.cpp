#include "cli/description/placement_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/index.h"
#include "cli/run/loaded_model.h"
#include "cli/run/training_setup.h"
#include "configs/layout_choice.h"
#include "coordinator/run/metrics_history.h"
#include "layout/layout.h"
#include "model/parameters.h"
#include "storage/checkpoint_reader.h"

namespace troupe::cli {
namespace {

constexpr std::size_t kSteps = 50;  // of metrics.jsonl
constexpr const char* kPreviousCounts = "balancer/previous_counts";

layout::LoadCounts empty_counts(const configs::RunConfig& config) {
  return {static_cast<int>(model::moe_layers(config.model)), static_cast<int>(config.model.moe.experts)};
}

[[noreturn]] void refuse_other_model(const std::filesystem::path& path, const layout::LoadCounts& wanted) {
  throw Error(ErrorCode::kConfig, "{}: its load is not that of {} layers with {} experts: another model",
              path.string(), wanted.layers(), wanted.columns());
}

void add_row(const std::filesystem::path& path, std::span<const std::int64_t> row, int layer,
             layout::LoadCounts& counts) {
  const auto sums = counts.layer(layer);
  if (row.size() < sums.size()) refuse_other_model(path, counts);
  for (std::size_t expert = 0; expert < sums.size(); ++expert) sums[expert] += row[expert];
}

MeasuredLoad read_metrics(const std::filesystem::path& path, const configs::RunConfig& config) {
  MeasuredLoad load{.source = {}, .counts = empty_counts(config)};
  std::vector<std::vector<comm::LayerLoad>> steps;
  try {
    steps = coordinator::read_recent_loads(path, kSteps);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kCorrupt, "{}: {}", path.string(), error.what());
  }
  if (steps.empty()) throw Error(ErrorCode::kConfig, "{} has no step with experts yet", path.string());
  for (const auto& layers : steps) {
    if (std::ssize(layers) != load.counts.layers()) refuse_other_model(path, load.counts);
    for (int layer = 0; layer < load.counts.layers(); ++layer) {
      const auto& row = layers[at(layer)].counts;
      if (std::ssize(row) != load.counts.columns()) refuse_other_model(path, load.counts);
      add_row(path, row, layer, load.counts);
    }
  }
  load.source = fmt::format("the last {} steps of {}", steps.size(), path.string());
  return load;
}

MeasuredLoad read_checkpoint(const std::filesystem::path& path, const configs::RunConfig& config) {
  storage::CheckpointReader reader = open_checkpoint(path);
  MeasuredLoad load{.source = fmt::format("the last batch of checkpoint {}", reader.folder().string()),
                    .counts = empty_counts(config)};
  const auto columns = at(config.model.moe.choices());
  const Shape wanted{load.counts.layers(), static_cast<std::int64_t>(columns)};
  if (reader.tensor(kPreviousCounts).shape != wanted) refuse_other_model(reader.folder(), load.counts);
  std::vector<std::int64_t> stored(at(wanted.elements()));
  reader.read(kPreviousCounts, 0, std::span<std::int64_t>(stored));
  for (int layer = 0; layer < load.counts.layers(); ++layer) {
    add_row(reader.folder(), std::span(stored).subspan(at(layer) * columns, columns), layer, load.counts);
  }
  return load;
}

}  // namespace

MeasuredLoad read_measured_load(const std::filesystem::path& path, const configs::RunConfig& config) {
  if (model::moe_layers(config.model) == 0)
    throw Error(ErrorCode::kConfig, "--placement: this configuration has no layer with experts");
  const auto metrics = path / "metrics.jsonl";
  return std::filesystem::exists(metrics) ? read_metrics(metrics, config) : read_checkpoint(path, config);
}

double PlacementDescription::saving() const {
  const double before = plan.imbalance_before();
  return before > 0.0 ? 1.0 - plan.imbalance_after() / before : 0.0;
}

PlacementDescription describe_placement(const configs::RunConfig& config, std::int64_t vocab_size,
                                        std::int64_t cores, const MeasuredLoad& load) {
  const auto chosen = configs::choose_layout(config, cores);
  const layout::Layout layout(batch_shape(config), static_cast<int>(chosen.workers),
                              static_cast<int>(chosen.expert_parallel),
                              static_cast<int>(config.model.moe.experts));
  PlacementDescription description{
      .source = load.source,
      .workers = chosen.workers,
      .expert_parallel = chosen.expert_parallel,
      .plan = plan_placement(layout.placements(at(load.counts.layers())), load.counts),
      .layers = {}};
  for (int layer = 0; layer < load.counts.layers(); ++layer)
    description.layers.push_back(model::layer_of_moe(config.model, layer));
  // Every replica gets the weights; the moments exist once.
  const std::int64_t copies = layout.replicas() + 2;
  for (const ParameterSpec& spec : model::parameter_specs(config.model, vocab_size)) {
    if (spec.kind == ParameterKind::kExpert && spec.expert == 0 && spec.moe_layer == 0)
      description.bytes_of_an_expert += copies * spec.elements() * static_cast<std::int64_t>(sizeof(float));
  }
  return description;
}

std::string to_text(const PlacementDescription& d) {
  std::string text = fmt::format("placement        {} workers, expert_parallel {}; load of {}\n", d.workers,
                                 d.expert_parallel, d.source);
  text += "                 layer   max/mean   planned   experts to move\n";
  for (std::size_t i = 0; i < d.layers.size(); ++i) {
    const auto& layer = d.plan.layers[i];
    text += fmt::format("                 {:>5}   {:>8.3f}   {:>7.3f}   {:>15}\n", d.layers[i],
                        layout::imbalance(layer.load_before), layout::imbalance(layer.load_after),
                        layer.moved_experts);
  }
  const auto bytes = static_cast<double>(d.plan.moved_experts() * d.bytes_of_an_expert);
  text += fmt::format(
      "                 all     {:>8.3f}   {:>7.3f}   {:>15}, {:.1f} MiB\n"
      "                 saves {:.1f} % of the time in routed experts; layers that gain less than {} % stay\n",
      d.plan.imbalance_before(), d.plan.imbalance_after(), d.plan.moved_experts(), bytes / (1 << 20),
      100.0 * d.saving(), layout::kMinimumGainPercent);
  if (d.expert_parallel == 1) text += "                 every worker holds all experts: nothing to place\n";
  return text;
}

std::string to_json(const PlacementDescription& d) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < d.layers.size(); ++i) {
    const auto& layer = d.plan.layers[i];
    layers.push_back({{"layer", d.layers[i]},
                      {"imbalance", layout::imbalance(layer.load_before)},
                      {"planned_imbalance", layout::imbalance(layer.load_after)},
                      {"load", layer.load_before},
                      {"planned_load", layer.load_after},
                      {"experts_to_move", layer.moved_experts}});
  }
  const nlohmann::ordered_json json{{"source", d.source},
                                    {"workers", d.workers},
                                    {"expert_parallel", d.expert_parallel},
                                    {"layers", layers},
                                    {"imbalance", d.plan.imbalance_before()},
                                    {"planned_imbalance", d.plan.imbalance_after()},
                                    {"experts_to_move", d.plan.moved_experts()},
                                    {"bytes_to_move", d.plan.moved_experts() * d.bytes_of_an_expert},
                                    {"expert_time_saved", d.saving()}};
  return json.dump(2) + "\n";
}

}  // namespace troupe::cli
