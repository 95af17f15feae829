#include "workers/training_state.h"

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
  const auto experts = static_cast<int>(options.model.moe.experts);
  for (int layer = 0; layer < layers; ++layer) {
    balancers.push_back(experts::make_balancer(options.model.moe.balancer, experts));
  }
  previous_counts = layout::LoadCounts(layers, experts);
  previous_unbiased_counts = layout::LoadCounts(layers, experts);
  bias_.resize(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts));
  refresh_bias();
}

void TrainingState::balance(const layout::LoadCounts& counts, const layout::LoadCounts& unbiased,
                            double rate) {
  for (std::size_t layer = 0; layer < balancers.size(); ++layer) {
    balancers[layer]->update(counts.layer(static_cast<int>(layer)), rate);
  }
  std::ranges::copy(counts.all(), previous_counts.all().begin());
  std::ranges::copy(unbiased.all(), previous_unbiased_counts.all().begin());
  refresh_bias();
}

void TrainingState::refresh_bias() {
  auto out = bias_.begin();
  for (const auto& balancer : balancers) out = std::ranges::copy(balancer->bias(), out).out;
}

}  // namespace troupe::workers
