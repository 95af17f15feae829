// Every form of the feed-forward as dense layer, routed and shared expert: gradients against fp64 central
// differences through the oracle.
#include <gtest/gtest.h>

#include <map>

#include "layers/feed_forward.h"
#include "model/parameters.h"
#include "tests/experts/layer_run.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokens = 9;
constexpr double kTolerance = 2e-4;

struct Form {
  layers::FfnForm ffn;
  bool shared_gate;
};

std::string name_of(const Form& form) {
  std::string name(layers::kActivationNames[static_cast<std::size_t>(form.ffn.activation)]);
  if (form.ffn.bias) name += "_bias";
  if (form.shared_gate) name += "_shared_gate";
  return name;
}

model::ModelOptions options_of(const Form& form) {
  model::ModelOptions options = reference::tiny_options();
  options.ffn.form = form.ffn;
  options.moe.shared_gate = form.shared_gate;
  return options;
}

class FeedForwardForms : public testing::TestWithParam<Form> {
 protected:
  model::ModelOptions options_ = options_of(GetParam());
  reference::Weights weights_{options_, 0, options_.moe.experts};
  reference::Parameters parameters_ = weights_.parameters();
  reference::Model model_{options_, reference::kVocab};
  std::size_t size_ = static_cast<std::size_t>(kTokens * options_.hidden_size);
  std::vector<float> x_ = reference::random_values(1, size_);
  std::vector<float> dy_ = reference::random_values(2, size_);
  reference::Values input_{x_.begin(), x_.end()};

  /// Gradients of all parameters whose names begin with `prefix`; returns how many there are.
  int check(const ParameterTable& table, std::span<const float> gradient, const std::string& prefix,
            const std::function<double()>& loss) {
    int checked = 0;
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const auto& spec = table.specs()[i];
      if (!spec.name.starts_with(prefix)) continue;
      ++checked;
      EXPECT_LE(reference::gradient_error(reference::tensor(table, gradient, i),
                                          parameters_.at({spec.name, spec.expert}), loss, 24),
                kTolerance)
          << spec.name << " expert " << spec.expert;
    }
    return checked;
  }
  [[nodiscard]] double dot_dy(const reference::Values& y) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < size_; ++i) sum += dy_[i] * y[i];
    return sum;
  }
};

TEST_P(FeedForwardForms, OfRoutedAndSharedExpertsHaveTheGradientsOfCentralDifferences) {
  const reference::Step step = reference::random_step(options_, {reference::random_batch(1, 1, kTokens)});
  const LayerRun run = run_layer(options_, weights_, reference::FlatStep(options_, step), x_, dy_);
  const auto output = [&] {
    const auto routing = model_.route(parameters_, kLayerPrefix, input_, step, 0);
    return model_.moe(parameters_, kLayerPrefix, input_, routing);
  };
  const auto expected = output();
  for (std::size_t i = 0; i < size_; ++i) ASSERT_NEAR(run.y[i], expected[i], 1e-4) << i;

  const auto loss = [&] { return dot_dy(output()); };
  const int tensors = GetParam().ffn.bias ? 4 : 2;
  EXPECT_LE(reference::gradient_error(run.dx, input_, loss), kTolerance);
  EXPECT_EQ(check(weights_.experts, run.expert_gradient, kLayerPrefix + "experts/", loss),
            tensors * options_.moe.experts);
  EXPECT_EQ(check(weights_.dense, run.dense_gradient, kLayerPrefix + "shared_experts/", loss),
            tensors + (GetParam().shared_gate ? 1 : 0));
}

TEST_P(FeedForwardForms, OfADenseLayerHaveTheGradientsOfCentralDifferences) {
  const std::string prefix = "layers/00/ffn/";
  const layers::FeedForward layer(options_.ffn.form, weights_.dense, prefix, *options_.ffn.intermediate_size);
  Arena arena(1 << 22);
  std::vector<float> gradient(weights_.dense_values.size());
  std::vector<float> y(size_);
  std::vector<float> dx(size_);
  const Pass pass{
      .execution = {1}, .arena = arena, .dense = weights_.dense_values, .dense_gradient = gradient};
  const Shape shape{kTokens, options_.hidden_size};
  const ConstTensorView x(x_.data(), shape);
  const ConstTensorView dy(dy_.data(), shape);
  const auto saved = layer.allocate(arena, kTokens);
  layer.expand(pass, x, saved);
  layer.contract(pass, saved, {y.data(), shape});
  layer.backward_contract(pass, dy, saved);
  layer.backward_expand(pass, dy, x, saved, {dx.data(), shape});

  const auto loss = [&] { return dot_dy(model_.ffn(parameters_, prefix, -1, input_)); };
  EXPECT_LE(reference::gradient_error(dx, input_, loss), kTolerance);
  EXPECT_EQ(check(weights_.dense, gradient, prefix, loss), GetParam().ffn.bias ? 4 : 2);
}

std::vector<Form> all_forms() {
  std::vector<Form> forms;
  for (std::size_t kind = 0; kind < layers::kActivationNames.size(); ++kind) {
    for (const bool bias : {false, true}) {
      for (const bool gate : {false, true})
        forms.push_back({{static_cast<layers::Activation>(kind), bias}, gate});
    }
  }
  return forms;
}
INSTANTIATE_TEST_SUITE_P(All, FeedForwardForms, testing::ValuesIn(all_forms()),
                         [](const auto& instance) { return name_of(instance.param); });

std::map<std::string, ParameterSpec> specs_by_name(const model::ModelOptions& options) {
  std::map<std::string, ParameterSpec> named;
  for (const auto& spec : model::parameter_specs(options, 64)) named[spec.name] = spec;
  return named;
}

TEST(FeedForwardParameters, WithoutAGateHaveAnUpProjectionOnly) {
  const auto named = specs_by_name(options_of({{layers::Activation::kRelu2, false}, false}));
  EXPECT_EQ(named.at("layers/00/ffn/up_proj").shape, (Shape{10, 12}));
  EXPECT_EQ(named.at("layers/01/experts/up_proj").global_shape(), (Shape{5, 7, 12}));
  EXPECT_FALSE(named.contains("layers/00/ffn/gate_up_proj"));
}

TEST(FeedForwardParameters, BiasesBeginAtZeroAndDoNotDecay) {
  const auto named = specs_by_name(options_of({{layers::Activation::kClampedSwiGlu, true}, true}));
  EXPECT_EQ(named.at("layers/00/ffn/gate_up_bias").shape, (Shape{20}));
  EXPECT_EQ(named.at("layers/01/experts/gate_up_bias").global_shape(), (Shape{5, 14}));
  EXPECT_EQ(named.at("layers/01/experts/down_bias").global_shape(), (Shape{5, 12}));
  EXPECT_EQ(named.at("layers/01/shared_experts/gate_weight").shape, (Shape{1, 12}));
  for (const auto& [name, spec] : named) {
    if (!name.ends_with("_bias")) continue;
    EXPECT_FALSE(decays(spec.role)) << name;
    EXPECT_EQ(spec.init_std, 0.0) << name;
    EXPECT_EQ(spec.init_constant, 0.0F) << name;
  }
}

}  // namespace
}  // namespace troupe::experts
