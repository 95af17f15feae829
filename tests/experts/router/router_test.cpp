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
    Router router(options_, 0, table_, "");
    const Pass pass{{1}, arena_, weight_, {}, gradient_, {}, {}};
    counts_.assign(kExperts, -1);
    unbiased_counts_.assign(kExperts, -1);
    layout::LayerStatistics load;
    load.counts = counts_;
    load.unbiased = unbiased_counts_;
    aux_loss_.assign(options_.aux_loss.size(), -1.0);
    return router.forward(pass,
                          ConstTensorView(logits.data(), Shape{std::ssize(logits) / kExperts, kExperts}),
                          {bias_, previous_counts_, {}, coefficients_, 1}, {load, aux_loss_, &z_loss_});
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
  std::vector<std::int64_t> previous_counts_, counts_, unbiased_counts_;
  std::vector<double> coefficients_{0.5}, aux_loss_;
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

TEST_F(RouterTest, GlobalAuxLossReadsThePreviousCounts) {
  options_.router.score = Score::kSoftmax;
  options_.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kGlobal, 0.5, FrequencySource::kActual}};
  const std::vector<float> towards_first{20, 0, 0, 0};
  (void)route(towards_first);
  EXPECT_NEAR(aux_loss_[0], 1.0, 1e-6);  // first step: uniform
  previous_counts_ = {8, 0, 0, 0};
  (void)route(towards_first);
  EXPECT_NEAR(aux_loss_[0], 4.0, 1e-4);  // all on one expert: N
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
