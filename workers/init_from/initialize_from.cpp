#include "workers/init_from/initialize_from.h"

#include <algorithm>

#include "base/index.h"
#include "model/parameters.h"
#include "workers/checkpoint/checkpoint.h"

namespace troupe::workers {
namespace {

/// Copies a block to the front of `target`; `own` is the whole target parameter.
void copy_block(storage::CheckpointReader& reader, const Block& block, std::span<const float> own,
                std::span<float> target) {
  std::vector<float> read;
  std::span<const float> stretch = own;
  if (block.tensor.empty()) {
    stretch = own.subspan(at(block.begin));
  } else {
    read.resize(at((block.rows - 1) * block.stride + block.columns));
    reader.read(block.tensor, block.begin, std::span<float>(read));
    stretch = read;
  }
  for (std::int64_t row = 0; row < block.rows; ++row) {
    for (std::int64_t i = 0; i < block.columns; ++i)
      target[at(row * block.columns + i)] = block.factor * stretch[at(row * block.stride + i)];
  }
}

void add_noise(ParameterSpec spec, double noise, std::uint64_t seed, std::span<float> values) {
  if (noise == 0.0 || spec.init_std == 0.0) return;
  spec.name += "/noise";  // other numbers than the initial values'
  spec.init_std *= noise;
  std::vector<float> added(values.size());
  initialize(spec, seed, added);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += added[i];
}

void fill(storage::CheckpointReader& reader, const WeightOrigins& origins, const InitialWeights& weights,
          std::uint64_t seed, const ParameterTable& table, std::span<float> values) {
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    const ParameterSpec& spec = table.specs()[i];
    const std::span<float> own = table.view(values, i).floats();
    const Origin origin = origins.of(spec);
    std::int64_t begin = 0;
    for (const Block& block : origin.blocks) {
      copy_block(reader, block, own, own.subspan(at(begin)));
      begin += block.rows * block.columns;
    }
    if (origin.duplicate) add_noise(spec, weights.options.noise, seed, own);
  }
}

void map_balancer(storage::CheckpointReader& reader, const SourceModel& source,
                  std::span<const std::int64_t> choices, std::int64_t source_layer,
                  experts::Balancer& balancer) {
  const std::int64_t experts = std::ssize(balancer.bias());
  const std::int64_t rows = std::ssize(balancer.state()) / experts;
  std::vector<float> before(at(rows * source.model.moe.experts));
  reader.read(balancer_name(source.model, at(source_layer)), 0, std::span<float>(before));
  std::vector<float> after(balancer.state().size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t j = 0; j < experts; ++j)
      after[at(row * experts + j)] = before[at(row * source.model.moe.experts + choices[at(j)])];
  }
  balancer.restore(after);
}

void map_counts(storage::CheckpointReader& reader, const char* name, std::span<const std::int64_t> choices,
                std::int64_t source_layer, std::int64_t source_choices, std::span<std::int64_t> counts) {
  std::vector<std::int64_t> before(at(source_choices));
  reader.read(name, source_layer * source_choices, std::span<std::int64_t>(before));
  for (std::size_t j = 0; j < counts.size(); ++j) counts[j] = choices[j] < 0 ? 0 : before[at(choices[j])];
}

void map_router_state(storage::CheckpointReader& reader, const WeightOrigins& origins,
                      const SourceModel& source, const model::ModelOptions& target, TrainingState& state) {
  for (std::size_t index = 0; index < state.balancers.size(); ++index) {
    const std::int64_t layer = model::layer_of_moe(target, static_cast<std::int64_t>(index));
    const auto choices = origins.choices(layer);
    if (choices.empty()) continue;
    const std::int64_t source_layer = model::moe_index(source.model, layer);
    if (source.model.moe.balancer.kind == target.moe.balancer.kind)
      map_balancer(reader, source, choices, source_layer, *state.balancers[index]);
    const auto map = [&](const char* name, layout::LoadCounts& counts) {
      map_counts(reader, name, choices, source_layer, source.model.moe.choices(),
                 counts.layer(static_cast<int>(index)));
    };
    map(kPreviousCounts, state.previous_counts);
    map(kPreviousUnbiasedCounts, state.previous_unbiased_counts);
  }
}

}  // namespace

std::vector<std::vector<std::int64_t>> read_loads(storage::CheckpointReader& reader,
                                                  const model::ModelOptions& model) {
  std::vector<std::vector<std::int64_t>> loads;
  for (std::int64_t layer = 0; layer < model::moe_layers(model); ++layer) {
    auto& counts = loads.emplace_back(at(model.moe.experts));
    reader.read(kPreviousCounts, layer * model.moe.choices(), std::span<std::int64_t>(counts));
  }
  return loads;
}

void initialize_from(storage::CheckpointReader& reader, const InitialWeights& weights, model::Model& model,
                     TrainingState& state) {
  SourceModel source = weights.source;
  source.loads = read_loads(reader, source.model);
  const WeightOrigins origins(source, model.options(), model.shape().vocab_size, weights.options);
  fill(reader, origins, weights, model.seed(), model.dense_table(), model.dense_values());
  fill(reader, origins, weights, model.seed(), model.expert_table(), model.expert_values());
  map_router_state(reader, origins, source, model.options(), state);
  state.refresh_bias(model);
}

}  // namespace troupe::workers
