#include "workers/init_from/weight_origins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/parameters.h"
#include "tests/reference/fixtures.h"
#include "workers/init_from/expert_mapping.h"

namespace troupe::workers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(MapExperts, AsManyCopyThemselves) {
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{5, 9, 1}, 3), ElementsAre(0, 1, 2));
}

TEST(MapExperts, AMultipleRepeatsTheSource) {
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{5, 9, 1}, 6), ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(MapExperts, BetweenMultiplesTheMostLoadedAreDuplicatedFirst) {
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{5, 9, 1}, 5), ElementsAre(0, 1, 2, 1, 0));
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{5, 9, 1}, 7), ElementsAre(0, 1, 2, 0, 1, 2, 1));
}

TEST(MapExperts, FewerKeepTheMostLoadedInOrderAndLowerIdsAmongEquals) {
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{5, 9, 1, 7}, 2), ElementsAre(1, 3));
  EXPECT_THAT(map_experts(std::vector<std::int64_t>{4, 4, 4, 9}, 3), ElementsAre(0, 1, 3));
}

// hidden 12, three layers, the first dense with 10 columns, experts of 7.
model::ModelOptions moe_model() { return reference::tiny_options(); }

model::ModelOptions dense_model() {
  model::ModelOptions options = moe_model();
  options.moe.first_dense_layers = 3;
  return options;
}

model::ModelOptions upcycled(std::int64_t expert_size) {
  model::ModelOptions options = moe_model();
  options.moe.experts = 6;
  options.moe.top_k = 2;
  options.moe.expert_size = expert_size;
  options.moe.shared_experts = 0;
  options.moe.router.scale = 1.0;
  return options;
}

WeightOrigins origins(const model::ModelOptions& source, const model::ModelOptions& target,
                      SliceScale scale = SliceScale::kExact) {
  const std::vector<std::int64_t> loads{5, 9, 1, 7, 3};
  return {{.name = "source",
           .model = source,
           .vocab_size = reference::kVocab,
           .loads = std::vector(static_cast<std::size_t>(model::moe_layers(source)), loads)},
          target,
          reference::kVocab,
          {.checkpoint = "source", .slice_scale = scale}};
}

ParameterSpec spec(const model::ModelOptions& options, const std::string& name, std::int64_t expert = -1) {
  for (const auto& found : model::parameter_specs(options, reference::kVocab))
    if (found.name == name && found.expert == expert) return found;
  ADD_FAILURE() << name;
  return {};
}

std::string refusal(const model::ModelOptions& source, const model::ModelOptions& target) {
  try {
    static_cast<void>(origins(source, target));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConfig);
    return error.what();
  }
  return "";
}

TEST(WeightOrigins, ExpertOfADenseLayerIsTheWholeLayer) {
  const auto target = upcycled(10);
  const auto map = origins(dense_model(), target);
  const Origin down = map.of(spec(target, "layers/01/experts/down_proj", 4));
  EXPECT_THAT(down.blocks, ElementsAre(Block{"layers/01/ffn/down_proj", 0, 12, 10, 10, 1.0F}));
  EXPECT_TRUE(down.duplicate);
  EXPECT_FALSE(map.of(spec(target, "layers/01/experts/down_proj", 0)).duplicate);
  EXPECT_TRUE(map.of(spec(target, "layers/01/router/weight")).blocks.empty());
}

TEST(WeightOrigins, ModulesForFurtherTokensAreCopiedOrNewOrLeftOut) {
  model::ModelOptions with = moe_model();
  with.mtp.depth = 1;
  const ParameterSpec join = spec(with, "mtp/00/eh_proj");
  const ParameterSpec expert = spec(with, "mtp/00/experts/down_proj", 2);
  EXPECT_EQ(origins(with, with).of(join).blocks.at(0).tensor, join.name);
  EXPECT_EQ(origins(with, with).of(expert).blocks.at(0).tensor, expert.name);
  EXPECT_TRUE(origins(moe_model(), with).of(join).blocks.empty());
  EXPECT_TRUE(origins(moe_model(), with).of(expert).blocks.empty());
  EXPECT_TRUE(origins(moe_model(), with).choices(with.layers).empty());
  EXPECT_EQ(refusal(with, moe_model()), "");
}

TEST(WeightOrigins, SlicesCutBothHalvesOfGateUpAndTheColumnsOfDown) {
  const auto target = upcycled(5);
  const auto map = origins(dense_model(), target);
  EXPECT_THAT(map.of(spec(target, "layers/01/experts/gate_up_proj", 3)).blocks,
              ElementsAre(Block{"layers/01/ffn/gate_up_proj", 5 * 12, 1, 60, 60, 1.0F},
                          Block{"layers/01/ffn/gate_up_proj", (10 + 5) * 12, 1, 60, 60, 1.0F}));
  EXPECT_THAT(map.of(spec(target, "layers/01/experts/down_proj", 3)).blocks,
              ElementsAre(Block{"layers/01/ffn/down_proj", 5, 12, 5, 10, 2.0F}));
}

TEST(WeightOrigins, RouterRowsOfAGroupOfSlicesAreTheFirstOnes) {
  const auto target = upcycled(5);
  const auto router = origins(dense_model(), target).of(spec(target, "layers/01/router/weight"));
  std::vector<std::int64_t> rows;
  for (const Block& block : router.blocks) {
    EXPECT_EQ(block.tensor, "");
    rows.push_back(block.begin / 12);
  }
  EXPECT_THAT(rows, ElementsAre(0, 0, 2, 2, 4, 4));
}

TEST(WeightOrigins, SpreadFactorsAreMegatronsRoots) {
  const auto factors = [](model::ModelOptions target, layers::Activation activation) {
    auto source = dense_model();
    source.ffn.form.activation = target.ffn.form.activation = activation;
    const auto map = origins(source, target, SliceScale::kSpread);
    const std::string input = ops::input_columns(activation) == 2 ? "gate_up_proj" : "up_proj";
    const float first = map.of(spec(target, "layers/01/experts/" + input, 0)).blocks[0].factor;
    EXPECT_EQ(first, map.of(spec(target, "layers/01/experts/down_proj", 0)).blocks[0].factor);
    return static_cast<double>(first);
  };
  EXPECT_NEAR(factors(upcycled(5), layers::Activation::kSwiGlu), std::cbrt(2.0), 1e-6);
  EXPECT_NEAR(factors(upcycled(5), layers::Activation::kRelu2), std::cbrt(2.0), 1e-6);
  EXPECT_NEAR(factors(upcycled(5), layers::Activation::kGelu), std::sqrt(2.0), 1e-6);
  auto before_top_k = upcycled(5);  // softmax over all: copies * slices^2 / k = 3 * 4 / 2
  before_top_k.moe.router.score = experts::Score::kSoftmax;
  before_top_k.moe.router.normalize_weights = false;
  EXPECT_NEAR(factors(before_top_k, layers::Activation::kSwiGlu), std::cbrt(6.0), 1e-6);
}

TEST(WeightOrigins, BiasesOfSlicesAreCutAndTheOutputsStayWhole) {
  auto source = dense_model();
  auto target = upcycled(5);
  source.ffn.form.bias = target.ffn.form.bias = true;
  const auto map = origins(source, target);
  EXPECT_THAT(map.of(spec(target, "layers/01/experts/gate_up_bias", 1)).blocks,
              ElementsAre(Block{"layers/01/ffn/gate_up_bias", 5, 1, 5, 5, 1.0F},
                          Block{"layers/01/ffn/gate_up_bias", 15, 1, 5, 5, 1.0F}));
  EXPECT_THAT(map.of(spec(target, "layers/01/experts/down_bias", 1)).blocks,
              ElementsAre(Block{"layers/01/ffn/down_bias", 0, 1, 12, 12, 1.0F}));
}

TEST(WeightOrigins, GrowingCopiesExpertsAndRouterRowsAlike) {
  auto target = moe_model();
  target.moe.experts = 7;  // of 5, the most loaded are 1 and 3
  const auto map = origins(moe_model(), target);
  const Origin last = map.of(spec(target, "layers/02/experts/down_proj", 6));
  EXPECT_THAT(last.blocks, ElementsAre(Block{"layers/02/experts/down_proj", 3 * 84, 1, 84, 84, 1.0F}));
  EXPECT_TRUE(last.duplicate);
  const auto router = map.of(spec(target, "layers/02/router/weight"));
  ASSERT_EQ(router.blocks.size(), 7U);
  EXPECT_EQ(router.blocks[5], (Block{"layers/02/router/weight", 1 * 12, 1, 12, 12, 1.0F}));
  EXPECT_EQ(router.blocks[6], (Block{"layers/02/router/weight", 3 * 12, 1, 12, 12, 1.0F}));
}

TEST(WeightOrigins, ZeroComputeExpertsKeepTheirRowsBehindAllExperts) {
  auto source = moe_model();
  source.moe.router.zero_experts = 1;
  auto target = source;
  target.moe.experts = 3;
  target.moe.router.zero_experts = 2;
  EXPECT_THAT(origins(source, target).choices(1), ElementsAre(0, 1, 3, 5, 5));
  source.moe.router.zero_experts = 0;
  EXPECT_THAT(origins(source, target).choices(1), ElementsAre(0, 1, 3, -1, -1));
}

TEST(WeightOrigins, RefusesWhatCannotBeMappedAndSaysWhatToDo) {
  EXPECT_THAT(refusal(moe_model(), dense_model()), HasSubstr("layers/01/ffn/"));
  EXPECT_THAT(refusal(dense_model(), upcycled(4)), HasSubstr("must be 10"));
  auto odd = upcycled(5);
  odd.moe.top_k = 3;
  EXPECT_THAT(refusal(dense_model(), odd), HasSubstr("multiples of 2"));
  auto wider = moe_model();
  wider.moe.expert_size = 8;
  EXPECT_THAT(refusal(moe_model(), wider), HasSubstr("[14, 12], and [16, 12]"));
  auto deeper = moe_model();
  deeper.layers = 4;
  EXPECT_THAT(refusal(moe_model(), deeper), HasSubstr("set it to 3"));
  auto without_shared = moe_model();
  without_shared.moe.shared_experts = 0;
  EXPECT_THAT(refusal(moe_model(), without_shared), HasSubstr("has no place"));
  auto other_form = moe_model();
  other_form.ffn.form.activation = layers::Activation::kRelu2;
  EXPECT_THAT(refusal(moe_model(), other_form), HasSubstr("up_proj"));
}

TEST(WeightOrigins, RefusesExpertsOfAnotherFormThanTheDenseLayers) {
  auto everywhere = upcycled(10);
  everywhere.moe.first_dense_layers = 0;
  EXPECT_EQ(refusal(dense_model(), everywhere), "");
  auto biased = everywhere;
  biased.ffn.form.bias = true;
  EXPECT_THAT(refusal(dense_model(), biased), HasSubstr("nothing that layers/00/experts/gate_up_bias"));
  auto without_gate = everywhere;
  without_gate.ffn.form.activation = layers::Activation::kRelu2;
  EXPECT_THAT(refusal(dense_model(), without_gate), HasSubstr("set model.ffn.activation"));
}

}  // namespace
}  // namespace troupe::workers
