#include "workers/initial_values.h"

#include "tensor/parameter.h"

namespace troupe::workers {

void initialize_together(const Partition& partition, model::Model& model) {
  const auto fill = [&](const ParameterTable& table, Partition::Slice slice, std::span<float> values) {
    initialize(model.execution(), table, model.seed(), slice.begin, slice.end, values);
  };
  fill(model.dense_table(), partition.dense_slice(), model.dense_values());
  fill(model.expert_table(), partition.expert_slice(), model.expert_values());
  gather_owned(partition, model);
}

}  // namespace troupe::workers
