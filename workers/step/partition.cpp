#include "workers/step/partition.h"

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

}  // namespace troupe::workers
