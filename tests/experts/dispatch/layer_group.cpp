#include "tests/experts/dispatch/layer_group.h"

#include <algorithm>
#include <mutex>

#include "experts/balancer/balancer.h"
#include "experts/moe_layer.h"
#include "tests/experts/layer_run.h"
#include "tests/experts/ranks.h"

namespace troupe::experts {
namespace {

class Worker {
 public:
  Worker(const model::ModelOptions& options, const reference::FlatStep& step, const LayerLayout& layout,
         comm::Communicator& communicator)
      : options_(options),
        step_(step),
        threads_(layout.threads),
        group_{communicator,
               layout::LayerPlacement::contiguous(static_cast<int>(options.moe.experts), communicator.size()),
               layout.dispatch},
        weights_(options, first_expert(), first_expert() + group_.local_experts()),
        exchange_(make_exchange(communicator, layout.dispatch)),
        layer_(options.moe, options.ffn.form, 1, kLayerPrefix, weights_.dense, weights_.experts, group_,
               *exchange_),
        expert_gradient_(weights_.expert_values.size()),
        lane_of_source_(static_cast<std::size_t>(communicator.size()), 0) {}

  /// batch: may be null.
  LayerGroupRun::Microbatch compute(const LayerBatch* batch, std::int64_t first_token, LayerGroupRun& run) {
    LayerGroupRun::Microbatch result;
    const LayerBatch nothing;
    const LayerBatch& b = batch == nullptr ? nothing : *batch;
    result.y.resize(b.x.size());
    result.dx.resize(b.x.size());
    result.dense_gradient.resize(weights_.dense_values.size());
    arena_.reset();
    const std::vector<TensorView> lanes{expert_gradient_};
    const Pass pass{.execution = {threads_},
                    .arena = arena_,
                    .dense = weights_.dense_values,
                    .experts = weights_.expert_values,
                    .dense_gradient = result.dense_gradient,
                    .expert_gradient_lanes = lanes,
                    .lane_of_source = lane_of_source_,
                    .microbatch = {.first_token = first_token},
                    .seed = 1,
                    .training = true};
    layout::LoadStatistics load({.layers = 1,
                                 .choices = static_cast<int>(options_.moe.choices()),
                                 .experts = static_cast<int>(options_.moe.experts),
                                 .capacity = options_.moe.capacity.kind != CapacityKind::kDropless});
    forward_backward(pass, b, load, result, run);
    const auto words = load.layer(0);
    result.counts.assign(words.counts.begin(), words.counts.end());
    result.dropped.assign(words.dropped.begin(), words.dropped.end());
    return result;
  }

  [[nodiscard]] std::size_t peak_bytes() const { return arena_.peak_bytes(); }

  void store_expert_gradient(const reference::Weights& all, std::span<float> target) const {
    for (std::size_t i = 0; i < weights_.experts.specs().size(); ++i) {
      const ParameterSpec& spec = weights_.experts.specs()[i];
      std::ranges::copy(reference::tensor(weights_.experts, expert_gradient_, i),
                        target.begin() + all.experts.offset(all.experts.find(spec.name, spec.expert)));
    }
  }

 private:
  [[nodiscard]] int first_expert() const { return group_.local().empty() ? 0 : group_.local().front(); }

  void forward_backward(const Pass& pass, const LayerBatch& batch, layout::LoadStatistics& load,
                        LayerGroupRun::Microbatch& result, LayerGroupRun& run) {
    const StepContext step = step_.context().layer(0, std::ssize(step_.step.bias));
    std::vector<double> aux(options_.moe.aux_loss.size());
    double z_loss = 0.0;
    MoeLayer::Saved saved = layer_.make_saved();
    const Shape shape{std::ssize(batch.x) / options_.hidden_size, options_.hidden_size};
    const ConstTensorView x(batch.x.data(), shape);
    const RouterSums sums{load.layer(0), aux, &z_loss};
    layer_.forward(pass, x, step, sums.load, saved, {result.y.data(), shape});
    layer_.backward(pass, ConstTensorView(batch.dy.data(), shape), x, step, sums, saved,
                    {result.dx.data(), shape});
    const std::scoped_lock lock(mutex_);
    run.chunks = std::max(run.chunks, saved.plan.chunks());
  }

  static inline std::mutex mutex_;
  const model::ModelOptions& options_;
  const reference::FlatStep& step_;
  int threads_;
  ExpertGroup group_;
  reference::Weights weights_;
  std::unique_ptr<Exchange> exchange_;
  MoeLayer layer_;
  std::vector<float> expert_gradient_;
  std::vector<int> lane_of_source_;
  Arena arena_{std::size_t{1} << 26};
};

}  // namespace

LayerGroupRun run_layer_group(const model::ModelOptions& options, const reference::FlatStep& step,
                              const std::vector<LayerBatch>& batches, const LayerLayout& layout) {
  const reference::Weights all(options, 0, options.moe.experts);
  LayerGroupRun run;
  run.microbatches.resize(batches.size());
  run.expert_gradient.resize(all.expert_values.size());
  std::mutex mutex;
  const auto failures = on_ranks(layout.workers, [&](comm::Communicator& communicator) {
    Worker worker(options, step, layout, communicator);
    const auto size = static_cast<std::size_t>(communicator.size());
    for (std::size_t first = 0; first < batches.size(); first += size) {
      const std::size_t index = first + static_cast<std::size_t>(communicator.rank());
      const bool idle = index >= batches.size();
      auto result =
          worker.compute(idle ? nullptr : &batches[index], static_cast<std::int64_t>(1000 * index), run);
      if (!idle) run.microbatches[index] = std::move(result);
    }
    const std::scoped_lock lock(mutex);
    worker.store_expert_gradient(all, run.expert_gradient);
    run.peak_bytes = std::max(run.peak_bytes, worker.peak_bytes());
  });
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return run;
}

}  // namespace troupe::experts
