// Noise, jitter and learned bias of the router's logits.
#include <gtest/gtest.h>

#include <cmath>

#include "model/parameters.h"
#include "tests/experts/router/router_run.h"

namespace troupe::experts {
namespace {

constexpr std::int64_t kTokens = 64;

RouterCase noisy(bool training, std::uint64_t seed = 3) {
  RouterCase router_case{.options = options_of(Selection::kNoisyTopK, Score::kSoftmax), .step = {}};
  router_case.step = reference::random_step(router_case.options, {reference::random_batch(1, 1, kTokens)});
  router_case.step.training = training;
  router_case.step.seed = seed;
  return router_case;
}

RouterCase jittery(bool training) {
  RouterCase router_case{.options = options_of(Selection::kTopK, Score::kSigmoid), .step = {}};
  router_case.options.moe.router.jitter = 0.2;
  router_case.step = reference::random_step(router_case.options, {reference::random_batch(1, 1, kTokens)});
  router_case.step.training = training;
  return router_case;
}

std::vector<float> inputs(const RouterCase& router_case) {
  return reference::random_values(1, static_cast<std::size_t>(kTokens * router_case.options.hidden_size));
}

RouterRun run(const RouterCase& router_case) {
  return run_router(router_case, reference::Weights(router_case.options, 0, 0), inputs(router_case));
}

TEST(LogitNoise, HasTheLearnedDeviation) {
  const RouterRun noisy_run = run(noisy(true));
  double squares = 0.0;
  for (std::size_t i = 0; i < noisy_run.logits.size(); ++i) {
    EXPECT_GT(noisy_run.noise_std[i], 0.0F);
    const double epsilon = (noisy_run.logits[i] - noisy_run.clean_logits[i]) / noisy_run.noise_std[i];
    squares += epsilon * epsilon;
  }
  EXPECT_NEAR(squares / static_cast<double>(noisy_run.logits.size()), 1.0, 0.3);
}

TEST(LogitNoise, IsOffInEvaluation) {
  const RouterRun quiet = run(noisy(false));
  EXPECT_EQ(quiet.logits, quiet.clean_logits);
  EXPECT_FALSE(quiet.noise_std.empty());  // the load loss is reported there too
}

TEST(LogitNoise, ChangesWithTheSeed) {
  EXPECT_NE(run(noisy(true, 3)).logits, run(noisy(true, 4)).logits);
  EXPECT_EQ(run(noisy(true, 3)).clean_logits, run(noisy(true, 4)).clean_logits);
}

TEST(LogitNoise, BelongsToTheTokensNumberInTheRun) {
  RouterCase router_case = noisy(true);
  const RouterRun all = run(router_case);
  const auto x = inputs(router_case);
  const auto half = static_cast<std::ptrdiff_t>(x.size() / 2);
  router_case.step.first_token = kTokens / 2;
  const RouterRun later =
      run_router(router_case, reference::Weights(router_case.options, 0, 0), {x.begin() + half, x.end()});
  const auto middle = static_cast<std::ptrdiff_t>(all.logits.size() / 2);
  EXPECT_EQ(std::vector<float>(all.logits.begin() + middle, all.logits.end()), later.logits);
}

TEST(InputJitter, IsOffInEvaluation) {
  RouterCase without = jittery(false);
  without.options.moe.router.jitter = 0.0;
  EXPECT_EQ(run(jittery(false)).logits, run(without).logits);
  EXPECT_NE(run(jittery(true)).logits, run(without).logits);
}

TEST(InputJitter, StaysWithinItsBounds) {
  RouterCase router_case = jittery(true);
  reference::Weights weights(router_case.options, 0, 0);
  const std::size_t index = weights.dense.find(kLayerPrefix + "router/weight");
  const auto matrix = weights.dense.view(std::span<float>(weights.dense_values), index).floats();
  std::ranges::fill(matrix, 0.0F);
  matrix[0] = 1.0F;  // choice 0 sees element 0
  const auto size = static_cast<std::size_t>(kTokens * router_case.options.hidden_size);
  const RouterRun ones = run_router(router_case, weights, std::vector<float>(size, 1.0F));
  const auto choices = static_cast<std::size_t>(router_case.options.moe.choices());
  float least = 2.0F;
  float most = 0.0F;
  for (std::size_t i = 0; i < ones.logits.size(); i += choices) {
    least = std::min(least, ones.logits[i]);
    most = std::max(most, ones.logits[i]);
  }
  EXPECT_GE(least, 0.8F);
  EXPECT_LE(most, 1.2F);
  EXPECT_LT(least, 0.85F);
  EXPECT_GT(most, 1.15F);
}

TEST(RouterParameters, StartAtZeroAndABiasDoesNotDecay) {
  model::ModelOptions options = options_of(Selection::kNoisyTopK, Score::kSoftmax);
  options.moe.router.linear_bias = true;
  options.moe.router.zero_experts = 2;
  const ParameterTable table(model::dense_specs(model::parameter_specs(options, reference::kVocab)));
  const auto& bias = table.specs()[table.find(kLayerPrefix + "router/linear_bias")];
  EXPECT_EQ(bias.shape, (Shape{7}));
  EXPECT_FALSE(decays(bias.role));
  const auto& noise = table.specs()[table.find(kLayerPrefix + "router/noise_weight")];
  EXPECT_EQ(noise.shape, (Shape{7, 12}));
  for (const auto* spec : {&bias, &noise}) {
    std::vector<float> values(static_cast<std::size_t>(spec->elements()), -1.0F);
    initialize(*spec, 1, values);
    EXPECT_EQ(values, std::vector<float>(values.size(), 0.0F)) << spec->name;
  }
}

TEST(RouterParameters, AreNotThereWithoutTheirOption) {
  const ParameterTable table(
      model::dense_specs(model::parameter_specs(reference::tiny_options(), reference::kVocab)));
  EXPECT_THROW((void)table.find(kLayerPrefix + "router/linear_bias"), Error);
  EXPECT_THROW((void)table.find(kLayerPrefix + "router/noise_weight"), Error);
}

}  // namespace
}  // namespace troupe::experts
