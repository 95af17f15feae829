#include "workers/step/partition.h"

#include "model/parameters.h"

namespace troupe::workers {
namespace {

std::vector<ParameterSpec> local_experts(const std::vector<ParameterSpec>& all,
                                         const model::ModelOptions& options, const layout::Layout& layout,
                                         int worker) {
  const auto moe_layers = static_cast<std::size_t>(model::moe_layers(options));
  return model::expert_specs(all, layout.placements(moe_layers), layout.position(worker));
}

}  // namespace

std::vector<std::int64_t> slices_of(const ParameterTable& table, int ranks) {
  std::vector<std::int64_t> begin;
  for (std::size_t i = 0; i <= table.specs().size(); ++i) begin.push_back(table.offset(i));
  return layout::slice_by_chunks(begin, ranks);
}

Partition::Partition(const model::ModelOptions& options, std::int64_t vocab_size,
                     const layout::Layout& layout, int worker_rank)
    : all(model::parameter_specs(options, vocab_size)),
      global(all),
      dense(model::dense_specs(all)),
      experts(local_experts(all, options, layout, worker_rank)),
      dense_slices(slices_of(dense, layout.workers())),
      expert_slices(slices_of(experts, layout.replicas())),
      worker(worker_rank),
      replica(layout.group(worker_rank)) {}

}  // namespace troupe::workers
