#include "tests/experts/layer_run.h"

#include <array>

#include "experts/balancer/balancer.h"
#include "experts/moe_layer.h"
#include "tests/experts/ranks.h"

namespace troupe::experts {

LayerRun run_layer(const model::ModelOptions& options, const reference::Weights& weights,
                   const reference::FlatStep& step, const std::vector<float>& x,
                   const std::vector<float>& dy) {
  LayerRun run;
  run.y.resize(x.size());
  run.dx.resize(x.size());
  run.dense_gradient.resize(weights.dense_values.size());
  run.expert_gradient.resize(weights.expert_values.size());
  const auto choices = static_cast<std::size_t>(options.moe.choices());
  const auto failures = on_ranks(1, [&](comm::Communicator& communicator) {
    Arena arena(1 << 24);
    const std::array<int, 1> lane_of_source{0};
    const std::array<TensorView, 1> lanes{run.expert_gradient};
    const Pass pass{
        .execution = {1},
        .arena = arena,
        .dense = weights.dense_values,
        .experts = weights.expert_values,
        .dense_gradient = run.dense_gradient,
        .expert_gradient_lanes = lanes,
        .lane_of_source = lane_of_source,
        .microbatch = {.first_token = step.step.first_token, .sequence_length = step.step.sequence_length},
        .seed = step.step.seed,
        .training = true};
    layout::LoadStatistics load({.layers = 1,
                                 .choices = static_cast<int>(choices),
                                 .experts = static_cast<int>(options.moe.experts),
                                 .capacity = options.moe.capacity.kind != CapacityKind::kDropless,
                                 .margin_bins = margin_bins(options.moe.balancer),
                                 .co_activation = options.moe.co_activation});
    std::vector<double> aux(options.moe.aux_loss.size());
    double z_loss = 0.0;
    const StepContext context = step.context().layer(0, std::ssize(step.step.bias));
    const RouterSums sums{load.layer(0), aux, &z_loss};
    const auto exchange = make_exchange(communicator, {});
    MoeLayer layer(
        options.moe, options.ffn.form, 1, kLayerPrefix, weights.dense, weights.experts,
        {communicator, layout::LayerPlacement::contiguous(static_cast<int>(options.moe.experts), 1)},
        *exchange);
    MoeLayer::Saved saved = layer.make_saved();
    const Shape shape{std::ssize(x) / options.hidden_size, options.hidden_size};
    const ConstTensorView input(x.data(), shape);
    layer.forward(pass, input, context, sums.load, saved, {run.y.data(), shape});
    layer.backward(pass, ConstTensorView(dy.data(), shape), input, context, sums, saved,
                   {run.dx.data(), shape});
  });
  if (failures[0]) std::rethrow_exception(failures[0]);
  return run;
}

}  // namespace troupe::experts
