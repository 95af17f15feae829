#include "workers/checkpoint/checkpoint.h"

#include <array>

#include "base/index.h"
#include "model/parameters.h"

namespace troupe::workers {
namespace {

constexpr const char* kCounters = "training/counters";
constexpr std::size_t kCounterFields = 4;
constexpr const char* kSkippedInARow = "training/skipped_in_a_row";
constexpr const char* kRecentLosses = "training/recent_losses";

std::string first_moment(const std::string& name) { return "optimizer/first_moment/" + name; }
std::string second_moment(const std::string& name) { return "optimizer/second_moment/" + name; }

// Rows of one value per expert; the first is the bias.
Shape balancer_shape(const experts::Balancer& balancer) {
  const std::int64_t experts = std::ssize(balancer.bias());
  return {std::ssize(balancer.state()) / experts, experts};
}

/// Of one kind of parameters: values, and moments of the owned slice.
struct Buffers {
  HostMirror& values;
  HostMirror& first_moment;
  HostMirror& second_moment;
};

void add_owned(const ParameterTable& table, Partition::Slice slice, const Buffers& buffers,
               std::vector<storage::TensorShard>& shards) {
  for_each_stretch(
      table, slice,
      [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
        const Shape shape = spec.global_shape();
        const auto add = [&](const std::string& name, std::span<const float> data, std::int64_t begin) {
          shards.emplace_back(name, shape, element, part(data, begin, length));
        };
        add(spec.name, buffers.values.values(), at);
        add(first_moment(spec.name), buffers.first_moment.values(), at - slice.begin);
        add(second_moment(spec.name), buffers.second_moment.values(), at - slice.begin);
      });
}

void require_shape(const storage::TensorReader& reader, const std::string& name, const Shape& expected) {
  const Shape& stored = reader.tensor(name).shape;
  if (stored == expected) return;
  throw Error(ErrorCode::kConfig,
              "{}: {} is {}, but the configuration asks for {}: it is a checkpoint of another model",
              reader.folder().string(), name, stored.to_string(), expected.to_string());
}

/// Of all parameters, so that every worker refuses another model, whatever it owns.
void require_shapes(const storage::TensorReader& reader, const std::vector<ParameterSpec>& specs) {
  for (const ParameterSpec& spec : specs) require_shape(reader, spec.name, spec.global_shape());
}

void read_values(storage::TensorReader& reader, const ParameterTable& table, Partition::Slice slice,
                 std::span<float> values) {
  for_each_stretch(
      table, slice,
      [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
        require_shape(reader, spec.name, spec.global_shape());
        reader.read(spec.name, element, part(values, at, length));
      });
}

void read_moments(storage::TensorReader& reader, const ParameterTable& table, Partition::Slice slice,
                  HostMirror& first, HostMirror& second) {
  for_each_stretch(
      table, slice,
      [&](const ParameterSpec& spec, std::int64_t element, std::int64_t at, std::int64_t length) {
        reader.read(first_moment(spec.name), element, part(first.values(), at - slice.begin, length));
        reader.read(second_moment(spec.name), element, part(second.values(), at - slice.begin, length));
      });
}

Shape counts_shape(const layout::LoadCounts& counts) { return {counts.layers(), counts.columns()}; }

std::size_t moe_layer_count(const model::Model& model) { return at(model::moe_layers(model.options())); }

/// Of what decides whether steps are skipped: nothing, where a checkpoint does not have it.
void read_skips(storage::TensorReader& reader, TrainingState& state) {
  if (reader.manifest().find(kSkippedInARow) != nullptr) {
    require_shape(reader, kSkippedInARow, Shape{1});
    reader.read(kSkippedInARow, 0, std::span<std::int64_t>(&state.counters.skipped_in_a_row, 1));
  }
  const storage::TensorEntry* stored = reader.manifest().find(kRecentLosses);
  if (stored == nullptr) return;
  std::vector<double> losses(LossWindow::kSteps);
  losses.resize(at(std::min<std::int64_t>(std::ssize(losses), stored->shape.elements())));
  reader.read(kRecentLosses, 0, std::span<double>(losses));
  state.recent_losses.restore(losses);
}

void read_counts(storage::TensorReader& reader, const char* name, layout::LoadCounts& counts) {
  require_shape(reader, name, counts_shape(counts));
  reader.read(name, 0, counts.all());
}

}  // namespace

std::string balancer_name(const model::ModelOptions& options, std::size_t moe_layer) {
  const std::int64_t layer = model::layer_of_moe(options, static_cast<std::int64_t>(moe_layer));
  return model::layer_prefix(options, layer) + "router/balancer";
}

void with_shards(model::Model& model, TrainingState& state,
                 const std::function<void(std::span<const storage::TensorShard>)>& body) {
  std::vector<storage::TensorShard> shards;
  const Partition& partition = state.partition;
  StateMirror mirror(model, state, HostMirror::Content::kBuffer);
  add_owned(model.dense_table(), partition.dense_slice(),
            {mirror.dense, mirror.dense_first, mirror.dense_second}, shards);
  add_owned(model.expert_table(), partition.expert_slice(),
            {mirror.experts, mirror.expert_first, mirror.expert_second}, shards);

  const TrainingCounters& c = state.counters;
  const std::array<std::int64_t, kCounterFields> counters{c.step, c.updates, c.next_sequence, c.tokens};
  if (partition.worker == 0) {
    shards.emplace_back(kCounters, Shape{kCounterFields}, 0, std::span<const std::int64_t>(counters));
    if (c.skipped_in_a_row > 0)
      shards.emplace_back(kSkippedInARow, Shape{1}, 0, std::span<const std::int64_t>(&c.skipped_in_a_row, 1));
    if (const auto losses = state.recent_losses.losses(); !losses.empty())
      shards.emplace_back(kRecentLosses, Shape{std::ssize(losses)}, 0, losses);
    for (std::size_t layer = 0; layer < state.balancers.size(); ++layer) {
      const experts::Balancer& balancer = *state.balancers[layer];
      shards.emplace_back(balancer_name(model.options(), layer), balancer_shape(balancer), 0,
                          balancer.state());
    }
    if (!state.balancers.empty()) {
      const auto add = [&](const char* name, const layout::LoadCounts& counts) {
        shards.emplace_back(name, counts_shape(counts), 0, counts.all());
      };
      add(kPreviousCounts, state.previous_counts);
      add(kPreviousUnbiasedCounts, state.previous_unbiased_counts);
    }
  }
  body(shards);
}

storage::ShardDescription save_shards(const std::filesystem::path& folder, model::Model& model,
                                      TrainingState& state) {
  storage::ShardDescription description;
  with_shards(model, state, [&](std::span<const storage::TensorShard> shards) {
    description = storage::write_shard_file(folder, state.partition.worker, shards);
  });
  return description;
}

void load_model(storage::TensorReader& reader, model::Model& model) {
  const auto read = [&](const ParameterTable& table, std::span<float> values) {
    read_values(reader, table, {0, table.buffer_elements()}, values);
  };
  read(model.dense_table(), model.dense_values());
  read(model.expert_table(), model.expert_values());
  for (std::size_t layer = 0; layer < moe_layer_count(model); ++layer) {
    const std::span<float> bias = model.bias(layer);  // the first row of the balancer's state
    const std::string name = balancer_name(model.options(), layer);
    const Shape& stored = reader.tensor(name).shape;
    require_shape(reader, name, Shape{stored[0], std::ssize(bias)});
    reader.read(name, 0, bias);
  }
}

void load_owned(storage::TensorReader& reader, model::Model& model, TrainingState& state) {
  StateMirror mirror(model, state, HostMirror::Content::kZero);
  load_owned(reader, model, state, mirror);
  mirror.put_back();
  state.refresh_bias(model);
}

void load_owned(storage::TensorReader& reader, const model::Model& model, TrainingState& state,
                StateMirror& mirror) {
  const Partition& partition = state.partition;
  require_shapes(reader, model.specs());
  read_values(reader, model.dense_table(), partition.dense_slice(), mirror.dense.values());
  read_values(reader, model.expert_table(), partition.expert_slice(), mirror.experts.values());
  read_moments(reader, model.dense_table(), partition.dense_slice(), mirror.dense_first, mirror.dense_second);
  read_moments(reader, model.expert_table(), partition.expert_slice(), mirror.expert_first,
               mirror.expert_second);

  std::array<std::int64_t, kCounterFields> counters{};
  require_shape(reader, kCounters, Shape{kCounterFields});
  reader.read(kCounters, 0, std::span<std::int64_t>(counters));
  state.counters = {
      .step = counters[0], .updates = counters[1], .next_sequence = counters[2], .tokens = counters[3]};

  read_skips(reader, state);

  for (std::size_t layer = 0; layer < state.balancers.size(); ++layer) {
    experts::Balancer& balancer = *state.balancers[layer];
    std::vector<float> values(balancer.state().size());
    const std::string name = balancer_name(model.options(), layer);
    require_shape(reader, name, balancer_shape(balancer));
    reader.read(name, 0, std::span<float>(values));
    balancer.restore(values);
  }
  if (!state.balancers.empty()) {
    read_counts(reader, kPreviousCounts, state.previous_counts);
    read_counts(reader, kPreviousUnbiasedCounts, state.previous_unbiased_counts);
  }
}

}  // namespace troupe::workers
