// One MoE layer alone: its gradient against central differences of <dy, y> + routing losses.
#include <gtest/gtest.h>

#include "tests/experts/layer_run.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokens = 9;

TEST(MoeLayer, GradientsOfInputAndWeightsEqualCentralDifferences) {
  model::ModelOptions options = reference::tiny_options();
  options.moe.router.z_loss = 0.05;
  options.moe.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.2, FrequencySource::kActual}};
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
    const auto routing = model.route(parameters, kLayerPrefix, input, step, 0);
    const auto y = model.moe(parameters, kLayerPrefix, input, routing);
    double sum = routing.objective;
    for (std::size_t i = 0; i < size; ++i) sum += dy[i] * y[i];
    return sum;
  };
  EXPECT_LE(reference::gradient_error(run.dx, input, loss), 1e-4);
  const auto check = [&](const ParameterTable& table, std::span<const float> gradient) {
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const auto& spec = table.specs()[i];
      const bool inside = spec.name.starts_with(kLayerPrefix + "router") ||
                          spec.name.starts_with(kLayerPrefix + "experts") ||
                          spec.name.starts_with(kLayerPrefix + "shared");
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
