#include "workers/step/training_state.h"

#include <algorithm>

#include "model/parameters.h"

namespace troupe::workers {
namespace {

std::vector<float> initial_values(const ParameterTable& table, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(table.buffer_elements()));
  for (std::size_t i = 0; i < table.specs().size(); ++i) {
    initialize(table.specs()[i], seed, table.view(std::span(values), i).floats());
  }
  return values;
}

optimizer::ShardedAdamW make_adamw(const TrainingOptions& options, const ParameterTable& table,
                                   Partition::Slice slice) {
  return {options.optimizer, table, slice.begin, slice.end};
}

}  // namespace

TrainingState::TrainingState(const TrainingOptions& options, const Partition& partition)
    : dense_values(initial_values(partition.dense, options.seed)),
      expert_values(initial_values(partition.experts, options.seed)),
      dense_adamw(make_adamw(options, partition.dense, partition.dense_slice())),
      expert_adamw(make_adamw(options, partition.experts, partition.expert_slice())) {
  const auto layers = static_cast<int>(model::moe_layers(options.model));
  choices_ = options.model.moe.choices();
  for (int layer = 0; layer < layers; ++layer) {
    balancers.push_back(experts::make_balancer(options.model.moe));
  }
  previous_counts = layout::LoadCounts(layers, static_cast<int>(choices_));
  previous_unbiased_counts = previous_counts;
  bias_.resize(previous_counts.all().size());
  refresh_bias();
}

void TrainingState::balance(const layout::LoadStatistics& load, std::int64_t tokens, double rate) {
  for (std::size_t layer = 0; layer < balancers.size(); ++layer) {
    const auto index = static_cast<int>(layer);
    const std::size_t experts = balancers[layer]->bias().size();
    balancers[layer]->update({load.counts.layer(index).first(experts), tokens, load.margins.layer(index)},
                             rate);
  }
  previous_counts = load.counts;
  previous_unbiased_counts = load.unbiased;
  refresh_bias();
}

void TrainingState::refresh_bias() {
  for (std::size_t layer = 0; layer < balancers.size(); ++layer) {
    std::ranges::copy(balancers[layer]->bias(),
                      bias_.begin() + static_cast<std::ptrdiff_t>(layer) * choices_);
  }
}

}  // namespace troupe::workers
