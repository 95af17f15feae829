#include "workers/training_memory.h"

#include <algorithm>

#include "model/activation_memory.h"
#include "model/load_shape.h"
#include "model/parameters.h"
#include "workers/step/batch_counts.h"
#include "workers/step/gradient_lanes.h"
#include "workers/step/gradient_norm.h"
#include "workers/step/loss_sums.h"
#include "workers/step/partition.h"
#include "workers/step/step_exchange.h"

namespace troupe::workers {
namespace {

constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kWordBytes = 8;
constexpr std::int64_t kInputBytes = 5 * 4;  // of a token: id, target, position, first visible, domain
constexpr int kWorker = 0;                   // has as many lanes and experts as any

/// Parameters of one kind as a worker holds them.
struct Buffers {
  std::int64_t elements;  // of one buffer
  std::int64_t owned;     // of its largest slice
  std::int64_t lanes;     // of this worker
  bool summed;            // from several lanes: the sum is another buffer
};

Buffers buffers_of(const ParameterTable& table, int owners, std::size_t lanes, int all_lanes) {
  const auto slices = slices_of(table, owners);
  std::int64_t owned = 0;
  for (std::size_t i = 1; i < slices.size(); ++i) owned = std::max(owned, slices[i] - slices[i - 1]);
  return {table.buffer_elements(), owned, static_cast<std::int64_t>(lanes), all_lanes > 1};
}

void add(const Buffers& buffers, TrainingMemory& memory) {
  constexpr int kMoments = 2;
  memory.parameters += kFloatBytes * buffers.elements;
  memory.gradient_lanes += kFloatBytes * buffers.lanes * buffers.elements;
  memory.optimizer_state += kMoments * kFloatBytes * buffers.owned;
  memory.saved_copy += (1 + kMoments) * kFloatBytes * buffers.owned;
  if (buffers.summed) memory.reduction += kFloatBytes * buffers.owned;
}

std::int64_t activation_bytes(const TrainingOptions& options, const layout::Layout& layout,
                              const model::TransformerShape& shape) {
  const auto local_experts = std::ssize(layout.placement(0).experts_at(layout.position(kWorker)));
  const auto rows = experts::even_rows(options.model.moe, options.model.hidden_size, shape.max_tokens,
                                       {layout.expert_parallel(), local_experts, options.dispatch});
  return model::activation_bytes(options.model, shape, rows);
}

/// Load of a microbatch and of the step, and the words that all workers exchange.
std::int64_t statistics_bytes(const TrainingOptions& options, int domains, int workers) {
  const std::int64_t load = layout::LoadStatistics(model::load_shape(options.model, domains)).size();
  const std::int64_t sums = LossSums(options.model).sums() + GradientNorm::kSums;
  return kWordBytes * (2 * load + StepExchange::words(load, sums, workers));
}

}  // namespace

TrainingMemory training_memory(const TrainingOptions& options, const layout::Layout& layout,
                               std::int64_t corpus_domains) {
  const model::TransformerShape shape = model_setup(options, layout, corpus_domains).shape;
  const auto specs = model::parameter_specs(options.model, options.vocab_size);
  const ParameterTable dense(model::dense_specs(specs));
  const ParameterTable experts = model::local_experts(specs, options.model, layout, kWorker);

  TrainingMemory memory;
  add(buffers_of(dense, layout.workers(), layout.lanes_of(kWorker).size(), options.batch.grad_lanes), memory);
  add(buffers_of(experts, layout.replicas(), layout.expert_lanes_of(layout.group(kWorker)).size(),
                 options.batch.expert_lanes),
      memory);
  if (needs_microbatch_gradient(layout, kWorker))
    memory.gradient_lanes += kFloatBytes * dense.buffer_elements();
  memory.reduction += kFloatBytes * reduction_scratch(layout, slices_of(dense, layout.workers()),
                                                      slices_of(experts, layout.replicas()));
  memory.activations = activation_bytes(options, layout, shape) + shape.held * kInputBytes * shape.max_tokens;
  memory.statistics = statistics_bytes(options, shape.domains, layout.workers());
  const BatchCounts counts(options, layout::LoadStatistics(model::load_shape(options.model, shape.domains)));
  memory.statistics += kWordBytes * counts.summed_words();
  return memory;
}

}  // namespace troupe::workers
