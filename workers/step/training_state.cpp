#include "workers/step/training_state.h"

#include <algorithm>

#include "model/parameters.h"

namespace troupe::workers {
namespace {

optimizer::ShardedAdamW make_adamw(const TrainingOptions& options, const ParameterTable& table,
                                   Partition::Slice slice, const model::Model& model) {
  return {options.optimizer, table, slice.begin, slice.end, model.accelerator()};
}

}  // namespace

TrainingState::TrainingState(const TrainingOptions& options, const model::Model& model)
    : partition(model),
      dense_adamw(make_adamw(options, model.dense_table(), partition.dense_slice(), model)),
      expert_adamw(make_adamw(options, model.expert_table(), partition.expert_slice(), model)),
      previous_counts(static_cast<int>(model::moe_layers(options.model)),
                      static_cast<int>(options.model.moe.choices())),
      previous_unbiased_counts(previous_counts) {
  for (int layer = 0; layer < previous_counts.layers(); ++layer) {
    balancers.push_back(experts::make_balancer(options.model.moe));
  }
}

void TrainingState::balance(const layout::LoadStatistics& load, std::int64_t tokens, double rate,
                            model::Model& model) {
  for (std::size_t layer = 0; layer < balancers.size(); ++layer) {
    const auto index = static_cast<int>(layer);
    const std::size_t experts = balancers[layer]->bias().size();
    balancers[layer]->update({load.counts.layer(index).first(experts), tokens, load.margins.layer(index)},
                             rate);
  }
  previous_counts = load.counts;
  previous_unbiased_counts = load.unbiased;
  refresh_bias(model);
}

void TrainingState::refresh_bias(model::Model& model) const {
  for (std::size_t layer = 0; layer < balancers.size(); ++layer) {
    std::ranges::copy(balancers[layer]->bias(), model.bias(layer).begin());
  }
}

}  // namespace troupe::workers
