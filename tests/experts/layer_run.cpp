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
    const std::array<std::span<float>, 1> lanes{run.expert_gradient};
    const Pass pass{{1},
                    arena,
                    weights.dense_values,
                    weights.expert_values,
                    run.dense_gradient,
                    lanes,
                    lane_of_source,
                    {.seed = step.step.seed,
                     .first_token = step.step.first_token,
                     .sequence_length = step.step.sequence_length},
                    true};
    layout::LoadStatistics load({.layers = 1,
                                 .choices = static_cast<int>(choices),
                                 .experts = static_cast<int>(options.moe.experts),
                                 .capacity = options.moe.capacity.kind != CapacityKind::kDropless,
                                 .margin_bins = margin_bins(options.moe.balancer),
                                 .co_activation = options.moe.co_activation});
    std::vector<double> aux(options.moe.aux_loss.size());
    double z_loss = 0.0;
    const model::StepContext context = step.context();
    const RouterStep router_step{context.bias.first(choices), context.previous_counts.first(choices),
                                 context.previous_unbiased_counts.first(choices), context.aux_coefficients,
                                 context.routed_tokens};
    const auto exchange = make_exchange(communicator, {});
    MoeLayer layer(
        options.moe, options.ffn.form, 1, kLayerPrefix, weights.dense, weights.experts,
        {communicator, layout::LayerPlacement::contiguous(static_cast<int>(options.moe.experts), 1)},
        *exchange);
    MoeLayer::Saved saved = layer.make_saved();
    const Shape shape{std::ssize(x) / options.hidden_size, options.hidden_size};
    const ConstTensorView input(x.data(), shape);
    layer.forward(pass, input, router_step, {load.layer(0), aux, &z_loss}, saved, {run.y.data(), shape});
    layer.backward(pass, ConstTensorView(dy.data(), shape), input, router_step, load.layer(0), saved,
                   {run.dx.data(), shape});
  });
  if (failures[0]) std::rethrow_exception(failures[0]);
  return run;
}

}  // namespace troupe::experts
