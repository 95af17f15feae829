#include "experts/router/router.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "experts/aux_loss/load_balance.h"
#include "experts/router/top_k.h"
#include "tests/reference/fixtures.h"

namespace troupe::experts {
namespace {

std::vector<std::int32_t> chosen(const std::vector<float>& values, std::size_t k) {
  std::vector<std::int32_t> result(k);
  std::vector<float> scratch(k);
  top_k(values, result, scratch);
  return result;
}

TEST(TopK, OrdersByValueAndBreaksTiesTowardsTheLowerIndex) {
  EXPECT_EQ(chosen({1, 3, 2, 3, 0}, 3), (std::vector<std::int32_t>{1, 3, 2}));
  EXPECT_EQ(chosen({5, 5, 5, 5}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(chosen({0, 1, 1, 2}, 2), (std::vector<std::int32_t>{3, 1}));
}

TEST(TopK, ChoosesDistinctIndicesAlsoAmongNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(chosen({nan, nan, nan}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(chosen({nan, 1, nan}, 2), (std::vector<std::int32_t>{1, 0}));
}

TEST(LoadFrequencies, AreUniformWithoutCounts) {
  std::vector<double> frequencies(4);
  load_frequencies({}, frequencies);
  EXPECT_EQ(frequencies, std::vector<double>(4, 0.25));
  load_frequencies(std::vector<std::int64_t>{1, 0, 3, 0}, frequencies);
  EXPECT_EQ(frequencies, (std::vector<double>{0.25, 0.0, 0.75, 0.0}));
}

/// A router of four experts that sees its logits directly: hidden = experts, weight = identity.
class RouterTest : public testing::Test {
 protected:
  static constexpr std::int64_t kExperts = 4;

  RouterTest()
      : table_({identity_spec()}), arena_(1 << 20), weight_(kExperts * kExperts, 0.0F), gradient_(weight_) {
    for (std::size_t i = 0; i < kExperts; ++i) weight_[i * kExperts + i] = 1.0F;
    options_.experts = kExperts;
    options_.top_k = 2;
  }

  static ParameterSpec identity_spec() {
    ParameterSpec spec;
    spec.name = "router/weight";
    spec.shape = Shape{kExperts, kExperts};
    return spec;
  }

  RoutingResult route(const std::vector<float>& logits) {
    const Router router(options_, 0, table_, "");
    const Pass pass{.execution = {1}, .arena = arena_, .dense = weight_, .dense_gradient = gradient_};
    counts_.assign(kExperts, -1);
    unbiased_counts_.assign(kExperts, -1);
    layout::LayerStatistics load;
    load.counts = counts_;
    load.unbiased = unbiased_counts_;
    aux_loss_.assign(options_.aux_loss.size(), -1.0);
    const Shape shape{std::ssize(logits) / kExperts, kExperts};
    const ConstTensorView x(logits.data(), shape);
    const StepContext step{.routed_tokens = 1,
                           .bias = bias_,
                           .aux_coefficients = coefficients_,
                           .counts = {.previous = previous_counts_, .global = global_counts_}};
    const RoutingResult routing = router.forward(pass, x, step, load);
    const TensorView dx = arena_.allocate(shape);
    const TensorView dweights = arena_.allocate(routing.weights.shape());
    std::ranges::fill(dx.floats(), 0.0F);
    std::ranges::fill(dweights.floats(), 0.0F);
    std::ranges::copy(slot_gradients_, dweights.f32());
    router.backward(pass, x, step, routing, {load, aux_loss_, &z_loss_}, dweights, dx);
    dx_.assign(dx.floats().begin(), dx.floats().end());
    return routing;
  }

  static std::vector<float> weights(const RoutingResult& routing) {
    const auto values = routing.weights.floats();
    return {values.begin(), values.end()};
  }
  static std::vector<std::int32_t> experts(const RoutingResult& routing) {
    return {routing.chosen.i32(), routing.chosen.i32() + routing.chosen.elements()};
  }

  MoeOptions options_;
  ParameterTable table_;
  Arena arena_;
  std::vector<float> weight_, gradient_;
  std::vector<float> bias_ = std::vector<float>(kExperts, 0.0F);
  std::vector<std::int64_t> previous_counts_, global_counts_, counts_, unbiased_counts_;
  std::vector<double> coefficients_{0.5}, aux_loss_;
  std::vector<float> slot_gradients_, dx_;
  double z_loss_ = -1.0;
};

float sigmoid(float z) { return 1.0F / (1.0F + std::exp(-z)); }

TEST_F(RouterTest, BiasChangesTheChoiceButNotTheWeights) {
  bias_ = {0.0F, 0.0F, 0.0F, 0.9F};
  const RoutingResult routing = route({2.0F, 1.0F, 0.0F, -1.0F});
  EXPECT_EQ(experts(routing), (std::vector<std::int32_t>{3, 0}));
  const float sum = sigmoid(-1.0F) + sigmoid(2.0F);
  EXPECT_FLOAT_EQ(weights(routing)[0], sigmoid(-1.0F) / sum);
  EXPECT_FLOAT_EQ(weights(routing)[1], sigmoid(2.0F) / sum);
}

TEST_F(RouterTest, EqualScoresGoToTheLowerExperts) {
  EXPECT_EQ(experts(route({1.0F, 1.0F, 1.0F, 1.0F})), (std::vector<std::int32_t>{0, 1}));
}

TEST_F(RouterTest, NormalizedWeightsSumToTheScale) {
  options_.router.scale = 2.5;
  const auto values = weights(route({0.3F, -0.2F, 0.9F, 0.1F}));
  EXPECT_FLOAT_EQ(values[0] + values[1], 2.5F);
}

TEST_F(RouterTest, WithoutNormalizationWeightsAreScaledScores) {
  options_.router.normalize_weights = false;
  options_.router.scale = 2.0;
  EXPECT_FLOAT_EQ(weights(route({0.3F, -0.2F, 0.9F, 0.1F}))[0], 2.0F * sigmoid(0.9F));
}

TEST_F(RouterTest, VanishingSigmoidScoresGiveFiniteWeights) {
  for (const float weight : weights(route({-200.0F, -200.0F, -200.0F, -200.0F})))
    EXPECT_TRUE(std::isfinite(weight));
}

// The bias chooses experts whose softmax scores underflow: the weights are the softmax of their logits, and a
// gradient reaches these.
TEST_F(RouterTest, VanishingSoftmaxScoresAreNormalizedAllTheSame) {
  options_.router.score = Score::kSoftmax;
  options_.router.scale = 2.0;
  bias_ = {0.0F, 0.0F, 5.0F, 5.0F};
  slot_gradients_ = {1.0F, -1.0F};
  const RoutingResult routing = route({200.0F, 0.0F, 1.0F, 0.0F});
  EXPECT_EQ(experts(routing), (std::vector<std::int32_t>{2, 3}));
  EXPECT_FLOAT_EQ(weights(routing)[0], 2.0F * sigmoid(1.0F));
  EXPECT_FLOAT_EQ(weights(routing)[1], 2.0F * sigmoid(-1.0F));
  const float slope = 2.0F * sigmoid(1.0F) * sigmoid(-1.0F);
  EXPECT_NEAR(dx_[2], 2.0F * slope, 1e-6F);
  EXPECT_NEAR(dx_[3], -2.0F * slope, 1e-6F);
  EXPECT_EQ(dx_[0], 0.0F);
}

TEST_F(RouterTest, SoftmaxAfterTopKSelectsOnBiasedLogits) {
  options_.router.score = Score::kSoftmax;
  options_.router.softmax_after_topk = true;
  bias_ = {0.0F, 3.0F, 0.0F, 0.0F};
  const RoutingResult routing = route({2.0F, 0.0F, 1.0F, -1.0F});
  EXPECT_EQ(experts(routing), (std::vector<std::int32_t>{1, 0}));
  EXPECT_FLOAT_EQ(weights(routing)[1], sigmoid(2.0F));
}

TEST_F(RouterTest, CountsEveryChosenPair) {
  (void)route({3, 2, 1, 0, /**/ 3, 2, 1, 0, /**/ 0, 1, 2, 3});
  EXPECT_EQ(counts_, (std::vector<std::int64_t>{2, 2, 1, 1}));
  EXPECT_EQ(unbiased_counts_, (std::vector<std::int64_t>{0, 0, 0, 0}));
}

TEST_F(RouterTest, UnbiasedCountsIgnoreTheBias) {
  options_.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.5, FrequencySource::kUnbiased}};
  bias_ = {0.0F, 0.0F, 9.0F, 9.0F};
  (void)route({3, 2, 1, 0});
  EXPECT_EQ(counts_, (std::vector<std::int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(unbiased_counts_, (std::vector<std::int64_t>{1, 1, 0, 0}));
}

TEST_F(RouterTest, AuxLossesReadTheCountsOfTheirScope) {
  options_.router.score = Score::kSoftmax;
  const std::vector<float> towards_first{20, 0, 0, 0};
  const std::vector<std::int64_t> all_on_first{8, 0, 0, 0};
  for (const auto& [scope, counts] :
       {std::pair{AuxScope::kGlobal, &global_counts_}, std::pair{AuxScope::kPrevious, &previous_counts_}}) {
    options_.aux_loss = {{AuxLossKind::kLoadBalance, scope, 0.5, FrequencySource::kActual}};
    *counts = {};
    (void)route(towards_first);
    EXPECT_NEAR(aux_loss_[0], 1.0, 1e-6);  // nothing counted: uniform
    *counts = all_on_first;
    (void)route(towards_first);
    EXPECT_NEAR(aux_loss_[0], 4.0, 1e-4);  // all on one expert: N
  }
}

TEST_F(RouterTest, ZeroTokensAreLegal) {
  options_.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.5, FrequencySource::kActual}};
  EXPECT_EQ(route({}).chosen.elements(), 0);
  EXPECT_EQ(counts_, (std::vector<std::int64_t>{0, 0, 0, 0}));
  EXPECT_EQ(z_loss_, 0.0);
  EXPECT_EQ(aux_loss_[0], 0.0);
}

}  // namespace
}  // namespace troupe::experts
