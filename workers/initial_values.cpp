#include "workers/initial_values.h"

#include "tensor/parameter.h"
#include "tensor/transfer.h"

namespace troupe::workers {

void initialize_together(const Partition& partition, model::Model& model) {
  HostMirror dense(model.accelerator(), model.dense_buffer(), HostMirror::Content::kZero);
  HostMirror experts(model.accelerator(), model.expert_buffer(), HostMirror::Content::kZero);
  const auto fill = [&](const ParameterTable& table, Partition::Slice slice, std::span<float> values) {
    initialize(model.execution(), table, model.seed(), slice.begin, slice.end, values);
  };
  fill(model.dense_table(), partition.dense_slice(), dense.values());
  fill(model.expert_table(), partition.expert_slice(), experts.values());
  gather_owned(partition, model, dense.values(), experts.values());
  dense.put_back();
  experts.put_back();
}

}  // namespace troupe::workers
