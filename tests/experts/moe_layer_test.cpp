// One MoE layer alone: its gradient against central differences of <dy, y> + routing losses.
#include "experts/moe_layer.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/experts/ranks.h"
#include "tests/reference/fixtures.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokens = 9;
const std::string kPrefix = "layers/01/";

struct LayerRun {
  std::vector<float> y, dx, dense_gradient, expert_gradient;
};

/// Forward and backward in a group of one.
LayerRun run_layer(const model::ModelOptions& options, const reference::Weights& weights,
                   const reference::FlatStep& step, const std::vector<float>& x,
                   const std::vector<float>& dy) {
  LayerRun run;
  run.y.resize(x.size());
  run.dx.resize(x.size());
  run.dense_gradient.resize(weights.dense_values.size());
  run.expert_gradient.resize(weights.expert_values.size());
  const auto experts = static_cast<std::size_t>(options.moe.experts);
  const auto failures = on_ranks(1, [&](comm::Communicator& communicator) {
    Arena arena(1 << 24);
    SystemClock clock;
    PhaseSeconds seconds;
    const std::array<int, 1> lane_of_source{0};
    const std::array<std::span<float>, 1> lanes{run.expert_gradient};
    const Pass pass{
        {1},   arena,         clock, seconds, weights.dense_values, weights.expert_values, run.dense_gradient,
        lanes, lane_of_source};
    std::vector<std::int64_t> counts(experts);
    std::vector<std::int64_t> unbiased(experts);
    std::vector<double> aux(options.moe.aux_loss.size());
    double z_loss = 0.0;
    const model::StepContext context = step.context();
    const RouterStep router_step{context.bias.first(experts), context.previous_counts.first(experts),
                                 context.previous_unbiased_counts.first(experts), context.aux_coefficients,
                                 context.routed_tokens};
    MoeLayer layer(options.moe, 1, kPrefix, weights.dense, weights.experts,
                   {communicator, {0, static_cast<int>(experts)}});
    MoeLayer::Saved saved = layer.make_saved();
    const Shape shape{kTokens, options.hidden_size};
    const ConstTensorView input(x.data(), shape);
    layer.forward(pass, input, router_step, {counts, unbiased, aux, &z_loss}, saved, {run.y.data(), shape});
    layer.backward(pass, ConstTensorView(dy.data(), shape), input, router_step, saved,
                   {run.dx.data(), shape});
  });
  if (failures[0]) std::rethrow_exception(failures[0]);
  return run;
}

TEST(MoeLayer, GradientsOfInputAndWeightsEqualCentralDifferences) {
  model::ModelOptions options = reference::tiny_options();
  options.moe.router.z_loss = 0.05;
  options.moe.aux_loss = {{AuxScope::kMicro, 0.2, FrequencySource::kActual}};
  const reference::Weights weights(options, 0, options.moe.experts);
  reference::Step step = reference::random_step(options, {reference::random_batch(1, 1, kTokens)});
  const reference::FlatStep flat(options, step);
  const auto size = static_cast<std::size_t>(kTokens * options.hidden_size);
  const auto x = reference::random_values(1, size);
  const auto dy = reference::random_values(2, size);
  const LayerRun run = run_layer(options, weights, flat, x, dy);

  const reference::Model model(options, reference::kVocab);
  reference::Parameters parameters = weights.parameters();
  reference::Values input(x.begin(), x.end());
  const auto loss = [&] {
    const auto routing = model.route(parameters.at({kPrefix + "router/weight", -1}), input, step, 0);
    const auto y = model.moe(parameters, kPrefix, input, routing);
    double sum = routing.objective;
    for (std::size_t i = 0; i < size; ++i) sum += dy[i] * y[i];
    return sum;
  };
  EXPECT_LE(reference::gradient_error(run.dx, input, loss), 1e-4);
  const auto check = [&](const ParameterTable& table, std::span<const float> gradient) {
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const auto& spec = table.specs()[i];
      const bool inside = spec.name.starts_with(kPrefix + "router") ||
                          spec.name.starts_with(kPrefix + "experts") ||
                          spec.name.starts_with(kPrefix + "shared");
      if (!inside) continue;
      EXPECT_LE(reference::gradient_error(reference::tensor(table, gradient, i),
                                          parameters.at({spec.name, spec.expert}), loss, 24),
                1e-4)
          << spec.name << " expert " << spec.expert;
    }
  };
  check(weights.dense, run.dense_gradient);
  check(weights.experts, run.expert_gradient);
}

}  // namespace
}  // namespace troupe::experts
