#include "workers/step/partition.h"

#include "base/index.h"

namespace troupe::workers {

std::vector<std::int64_t> slices_of(const ParameterTable& table, int ranks) {
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i <= table.specs().size(); ++i) begin.push_back(table.offset(i));
  return layout::slice_by_chunks(begin, ranks);
}

Partition::Partition(const model::Model& model)
    : dense_slices(slices_of(model.dense_table(), model.layout().workers())),
      expert_slices(slices_of(model.expert_table(), model.layout().replicas())),
      worker(model.rank()),
      replica(model.layout().group(model.rank())) {}

void gather_slices(comm::Communicator& communicator, const std::vector<std::int64_t>& slices,
                   std::span<float> values) {
  if (communicator.size() == 1) return;
  std::vector<std::int64_t> bytes;
  for (std::size_t r = 0; r + 1 < slices.size(); ++r) {
    bytes.push_back((slices[r + 1] - slices[r]) * static_cast<std::int64_t>(sizeof(float)));
  }
  const auto rank = at(communicator.rank());
  const auto mine = part(values, slices[rank], slices[rank + 1] - slices[rank]);
  communicator.all_gather_v(std::as_bytes(mine), {std::as_writable_bytes(values), bytes});
}

void gather_owned(const Partition& partition, const model::Model& model, std::span<float> dense,
                  std::span<float> experts) {
  gather_slices(model.world(), partition.dense_slices, dense);
  gather_slices(*model.groups().replicas, partition.expert_slices, experts);
}

}  // namespace troupe::workers
