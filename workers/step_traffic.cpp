#include "workers/step_traffic.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/index.h"
#include "comm/collectives/lane_reduction.h"
#include "experts/dispatch/dispatch_plan.h"
#include "experts/dispatch/exchange_sends.h"
#include "experts/dispatch/routed_rows.h"
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

using comm::Traffic;

constexpr std::int64_t kFloatBytes = 4;
constexpr std::int64_t kWordBytes = 8;

/// The buffers of parameters of one worker, cut by ownership.
struct Buffers {
  Buffers(const TrainingOptions& options, const layout::Layout& layout, int worker)
      : specs(model::parameter_specs(options.model, options.vocab_size)),
        dense(slices_of(ParameterTable(model::dense_specs(specs)), layout.workers())),
        experts(slices_of(model::local_experts(specs, options.model, layout, worker), layout.replicas())) {}

  std::vector<ParameterSpec> specs;
  std::vector<std::int64_t> dense;    // [workers + 1]
  std::vector<std::int64_t> experts;  // [replicas + 1]
};

std::int64_t size_of_slice(const std::vector<std::int64_t>& slices, int rank) {
  return slices[at(rank) + 1] - slices[at(rank)];
}

/// A slice to every other rank.
Traffic gathered(const std::vector<std::int64_t>& slices, int rank) {
  const std::int64_t others = std::ssize(slices) - 2;
  return {.messages = others, .bytes = others * kFloatBytes * size_of_slice(slices, rank)};
}

Traffic gathered(const Buffers& buffers, const layout::Layout& layout, int worker) {
  Traffic sum = gathered(buffers.dense, worker);
  return sum += gathered(buffers.experts, layout.group(worker));
}

Traffic reduced(const TrainingOptions& options, const Buffers& buffers, const layout::Layout& layout,
                int worker) {
  const std::int64_t scratch = reduction_scratch(layout, buffers.dense, buffers.experts);
  const comm::LaneExchange dense(layout.workers(), options.batch.grad_lanes, buffers.dense, scratch);
  const comm::LaneExchange experts(layout.replicas(), options.batch.expert_lanes, buffers.experts, scratch);
  Traffic sum = dense.traffic(worker);
  return sum += experts.traffic(layout.group(worker));
}

/// Passes of a step through every layer with experts, of one worker: those with tokens, and all that it
/// joins.
struct Passes {
  double with_tokens;  // share of those that it joins
  std::int64_t forward;
  std::int64_t backward;
};

Passes passes_of(const TrainingOptions& options, const layout::Layout& layout, std::int64_t held,
                 int worker) {
  const std::int64_t steps = layout.batch().accumulation_steps;
  const std::int64_t joined = steps * layout.waves();
  const std::int64_t together = microbatches_together(options.model, layout);
  const std::int64_t again = joined / together * (together - std::min(held, together));
  return {.with_tokens = static_cast<double>(std::ssize(layout.lanes_of(worker))) / layout.waves(),
          .forward = joined + again + (options.recompute ? joined : 0),
          .backward = joined};
}

Traffic dispatched(const TrainingOptions& options, const layout::Layout& layout,
                   const model::TransformerShape& shape, int worker) {
  if (layout.expert_parallel() == 1) return {};
  const experts::ExchangeSends sends =
      experts::exchange_sends(options.dispatch, layout.expert_parallel(), layout.position(worker));
  const experts::DispatchGroup group{layout.expert_parallel(),
                                     std::ssize(layout.placement(0).experts_at(layout.position(worker))),
                                     options.dispatch};
  experts::DispatchGroup whole = group;
  whole.options.max_bytes = 0;
  const auto rows_of = [&](const experts::DispatchGroup& each) {
    return experts::even_rows(options.model.moe, options.model.hidden_size, shape.max_tokens, each);
  };
  const experts::RoutedRows rows = rows_of(whole);
  const std::int64_t at_once = std::max<std::int64_t>(1, rows_of(group).received);
  const std::int64_t chunks = std::max<std::int64_t>(1, (rows.received + at_once - 1) / at_once);

  const Passes passes = passes_of(options, layout, shape.held, worker);
  const std::int64_t again = chunks > 1 ? 1 : 0;  // what is not kept travels again in backward
  const std::int64_t moves = 2 * passes.forward + (2 + again) * passes.backward;
  const std::int64_t element = options.dispatch.dtype == layout::DispatchType::kBf16 ? 2 : kFloatBytes;
  const std::int64_t counts = kWordBytes / 2 * experts::dispatch_message_words(options.model.moe.experts);
  const double moved =
      passes.with_tokens * static_cast<double>(rows.sent * sends.row_parts) / layout.expert_parallel();
  const auto row_bytes = static_cast<double>(options.model.hidden_size * element);
  const std::int64_t layers = model::moe_layers(options.model);
  return {.messages = layers * sends.messages * (passes.forward + moves * chunks),
          .bytes = layers * (passes.forward * sends.counts * counts +
                             std::llround(static_cast<double>(moves) * moved * row_bytes))};
}

}  // namespace

StepTraffic step_traffic(const TrainingOptions& options, const layout::Layout& layout,
                         std::int64_t corpus_domains, int worker) {
  const model::TransformerShape shape = model_setup(options, layout, corpus_domains).shape;
  const Buffers buffers(options, layout, worker);
  StepTraffic traffic{.dispatch = model::moe_layers(options.model) > 0
                                      ? dispatched(options, layout, shape, worker)
                                      : Traffic(),
                      .gradients = reduced(options, buffers, layout, worker),
                      .weights = gathered(buffers, layout, worker)};
  const layout::LoadStatistics load(model::load_shape(options.model, shape.domains));
  const BatchCounts counts(options, load);
  traffic.reductions = 1 + counts.reductions();
  traffic.reduced_bytes =
      kWordBytes * (counts.summed_words() +
                    StepExchange::words(load.size(), LossSums(options.model).sums() + GradientNorm::kSums,
                                        layout.workers()));
  return traffic;
}

ResumeCost resume_cost(const TrainingOptions& options, const layout::Layout& layout, int worker) {
  constexpr std::int64_t kParameterBytes = 3 * kFloatBytes;  // with two moments
  const Buffers buffers(options, layout, worker);
  ResumeCost cost{.weights = gathered(buffers, layout, worker)};
  for (const ParameterSpec& spec : buffers.specs) cost.checkpoint_bytes += kParameterBytes * spec.elements();
  cost.read_bytes = kParameterBytes * (size_of_slice(buffers.dense, worker) +
                                       size_of_slice(buffers.experts, layout.group(worker)));
  cost.verified_bytes = cost.read_bytes;  // the file that it wrote
  return cost;
}

}  // namespace troupe::workers
