#include "workers/init_from/initialize_from.h"

#include <algorithm>
#include <utility>

#include "base/index.h"
#include "model/parameters.h"
#include "tensor/transfer.h"
#include "workers/checkpoint/checkpoint.h"
#include "workers/checkpoint/shared_loading.h"

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

/// Slices that begin where parameters do: a parameter belongs to the owner of its first element.
std::vector<std::int64_t> whole_parameters(const ParameterTable& table, std::vector<std::int64_t> slices) {
  std::vector<std::int64_t> begins;
  for (std::size_t i = 0; i <= table.specs().size(); ++i) begins.push_back(table.offset(i));
  for (std::int64_t& begin : slices) begin = *std::ranges::lower_bound(begins, begin);
  return slices;
}

/// Parameters of one buffer that this worker fills.
struct Share {
  Share(const ParameterTable& all, const std::vector<std::int64_t>& owned, std::size_t rank,
        std::span<float> buffer)
      : table(all), slices(whole_parameters(all, owned)), values(buffer) {
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      if (table.offset(i) >= slices[rank] && table.offset(i) < slices[rank + 1]) parameters.push_back(i);
    }
  }
  [[nodiscard]] std::span<float> view(std::size_t i) const { return table.view(values, i).floats(); }

  const ParameterTable& table;
  std::vector<std::int64_t> slices;
  std::span<float> values;
  std::vector<std::size_t> parameters;  // in the table
};

/// Whether something of a parameter's initial values stays.
bool keeps_initial_values(const ParameterSpec& spec, const Origin& origin) {
  std::int64_t copied = 0;
  for (const Block& block : origin.blocks) {
    if (block.tensor.empty()) return true;
    copied += block.rows * block.columns;
  }
  return copied < spec.elements();
}

void add_noise(ParameterSpec spec, double noise, std::uint64_t seed, std::span<float> values) {
  if (noise == 0.0 || spec.init_std == 0.0) return;
  spec.name += "/noise";  // other numbers than the initial values'
  spec.init_std *= noise;
  std::vector<float> added(values.size());
  initialize(spec, seed, added);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += added[i];
}

void fill_initial(const model::Model& model, const WeightOrigins& origins, const Share& share) {
  for (const std::size_t i : share.parameters) {
    const ParameterSpec& spec = share.table.specs()[i];
    if (!keeps_initial_values(spec, origins.of(spec))) continue;
    const std::int64_t begin = share.table.offset(i);
    initialize(model.execution(), share.table, model.seed(), begin, begin + spec.elements(), share.values);
  }
}

void fill(storage::CheckpointReader& reader, const WeightOrigins& origins, const InitialWeights& weights,
          std::uint64_t seed, const Share& share) {
  for (const std::size_t i : share.parameters) {
    const ParameterSpec& spec = share.table.specs()[i];
    const std::span<float> own = share.view(i);
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

void initialize_from(const InitialWeights& weights, StorageThread& storage_thread, model::Model& model,
                     TrainingState& state) {
  storage::CheckpointReader reader =
      open_together(*weights.options.checkpoint, model.world(), storage_thread);
  const Partition& partition = state.partition;
  HostMirror dense_values(model.accelerator(), model.dense_buffer(), HostMirror::Content::kZero);
  HostMirror expert_values(model.accelerator(), model.expert_buffer(), HostMirror::Content::kZero);
  const Share dense(model.dense_table(), partition.dense_slices, at(partition.worker), dense_values.values());
  const Share experts(model.expert_table(), partition.expert_slices, at(partition.replica),
                      expert_values.values());
  storage_thread.run([&] {
    storage::CheckpointReader opening = std::move(reader);  // HDF5's files are closed here, whatever happens
    SourceModel source = weights.source;
    source.loads = read_loads(opening, source.model);
    const WeightOrigins origins(source, model.options(), model.shape().vocab_size, weights.options);
    for (const Share* share : {&dense, &experts}) {
      fill_initial(model, origins, *share);
      fill(opening, origins, weights, model.seed(), *share);
    }
    map_router_state(opening, origins, source, model.options(), state);
  });
  gather_slices(model.world(), dense.slices, dense.values);
  gather_slices(*model.groups().replicas, experts.slices, experts.values);
  dense_values.put_back();
  expert_values.put_back();
  state.refresh_bias(model);
}

}  // namespace troupe::workers
