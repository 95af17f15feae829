#include "model/parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "model/cost.h"
#include "model/widths.h"

namespace troupe::model {
namespace {

ModelOptions quickstart() { return {}; }

std::map<std::string, ParameterSpec> by_name(const ModelOptions& options) {
  std::map<std::string, ParameterSpec> named;
  for (const auto& spec : parameter_specs(options, 8192)) named[spec.name] = spec;
  return named;
}

TEST(ParameterSpecs, NameEveryParameterOnceWithItsShape) {
  const auto named = by_name(quickstart());
  EXPECT_EQ(named.at("embedding/weight").shape, (Shape{8192, 256}));
  EXPECT_EQ(named.at("layers/00/attention/qkv_proj").shape, (Shape{(8 + 2 * 4) * 32, 256}));
  EXPECT_EQ(named.at("layers/00/attention/out_proj").shape, (Shape{256, 256}));
  EXPECT_EQ(named.at("layers/00/attention/q_norm").shape, (Shape{32}));
  EXPECT_EQ(named.at("layers/00/ffn/gate_up_proj").shape, (Shape{2 * 704, 256}));
  EXPECT_EQ(named.at("layers/03/router/weight").shape, (Shape{16, 256}));
  EXPECT_EQ(named.at("layers/03/experts/down_proj").global_shape(), (Shape{16, 256, 256}));
  EXPECT_EQ(named.at("layers/03/shared_experts/gate_up_proj").shape, (Shape{512, 256}));
  EXPECT_FALSE(named.contains("head/weight"));
  EXPECT_FALSE(named.contains("layers/00/router/weight"));
  EXPECT_FALSE(named.contains("layers/03/ffn/down_proj"));
}

TEST(ParameterSpecs, UntiedModelHasAHeadThatDecays) {
  ModelOptions options = quickstart();
  options.tie_embeddings = false;
  EXPECT_TRUE(decays(by_name(options).at("head/weight").role));
}

TEST(ParameterSpecs, EmbeddingsAndNormsDoNotDecay) {
  for (const auto& [name, spec] : by_name(quickstart())) {
    const bool excluded = name.find("norm") != std::string::npos || name == "embedding/weight";
    EXPECT_EQ(decays(spec.role), !excluded) << name;
  }
}

TEST(ParameterSpecs, SayTheirLayerPartAndRole) {
  ModelOptions options = quickstart();
  options.ffn.form.bias = true;
  options.moe.shared_gate = true;
  options.moe.router.linear_bias = true;
  options.tie_embeddings = false;
  const auto named = by_name(options);
  const auto expect = [&](const std::string& name, std::int64_t layer, ParameterPart part,
                          ParameterRole role) {
    const ParameterSpec& spec = named.at(name);
    EXPECT_EQ(spec.layer, layer) << name;
    EXPECT_EQ(spec.part, part) << name;
    EXPECT_EQ(spec.role, role) << name;
  };
  expect("embedding/weight", -1, ParameterPart::kEmbedding, ParameterRole::kEmbedding);
  expect("layers/00/attention_norm/weight", 0, ParameterPart::kMixer, ParameterRole::kNorm);
  expect("layers/00/attention/qkv_proj", 0, ParameterPart::kMixer, ParameterRole::kInput);
  expect("layers/00/attention/out_proj", 0, ParameterPart::kMixer, ParameterRole::kOutput);
  expect("layers/00/attention/k_norm", 0, ParameterPart::kMixer, ParameterRole::kNorm);
  expect("layers/00/ffn_norm/weight", 0, ParameterPart::kFeedForward, ParameterRole::kNorm);
  expect("layers/00/ffn/gate_up_proj", 0, ParameterPart::kFeedForward, ParameterRole::kInput);
  expect("layers/00/ffn/down_bias", 0, ParameterPart::kFeedForward, ParameterRole::kOutputBias);
  expect("layers/03/router/weight", 3, ParameterPart::kRouter, ParameterRole::kRouter);
  expect("layers/03/router/linear_bias", 3, ParameterPart::kRouter, ParameterRole::kRouterBias);
  expect("layers/03/experts/gate_up_bias", 3, ParameterPart::kExperts, ParameterRole::kInputBias);
  expect("layers/03/shared_experts/down_proj", 3, ParameterPart::kSharedExperts, ParameterRole::kOutput);
  expect("layers/03/shared_experts/gate_weight", 3, ParameterPart::kSharedExperts, ParameterRole::kGate);
  expect("final_norm/weight", -1, ParameterPart::kHead, ParameterRole::kNorm);
  expect("head/weight", -1, ParameterPart::kHead, ParameterRole::kHead);
}

TEST(ParameterSpecs, RouterStartsWithItsOwnScale) {
  ModelOptions options = quickstart();
  options.moe.router.init_scale = 0.5;
  EXPECT_DOUBLE_EQ(by_name(options).at("layers/01/router/weight").init_std, 0.01);
  EXPECT_DOUBLE_EQ(by_name(options).at("layers/01/attention/qkv_proj").init_std, 0.02);
}

TEST(ParameterSpecs, WhatWritesToTheResidualStreamBeginsSmallerUnlessToldNot) {
  ModelOptions options = quickstart();
  const double scaled = 0.02 / std::sqrt(2.0 * static_cast<double>(options.layers));
  for (const char* name : {"layers/01/attention/out_proj", "layers/00/ffn/down_proj",
                           "layers/01/experts/down_proj", "layers/01/shared_experts/down_proj"})
    EXPECT_DOUBLE_EQ(by_name(options).at(name).init_std, scaled) << name;
  EXPECT_DOUBLE_EQ(by_name(options).at("layers/00/ffn/gate_up_proj").init_std, 0.02);
  options.init.residual_scaling = false;
  EXPECT_DOUBLE_EQ(by_name(options).at("layers/01/attention/out_proj").init_std, 0.02);
}

/// Deviation of a parameter's row.
double deviation(const ParameterSpec& spec, std::int64_t row) {
  double factor = 1.0;
  for (const InitialRows& rows : spec.initial_rows)
    if (row >= rows.first) factor = rows.factor;
  return spec.init_std * factor;
}

TEST(ParameterSpecs, XavierGoesByEveryMatrixAloneAndDeepNormScalesWhatCarriesValues) {
  ModelOptions options = quickstart();
  options.init.kind = InitKind::kXavier;
  options.init.residual_scaling = false;
  const auto hidden = static_cast<double>(options.hidden_size);
  const auto xavier = [](double rows, double columns) { return std::sqrt(2.0 / (rows + columns)); };
  const auto& mixer = options.attention;
  const auto query = mixer.heads * mixer.head_dim;
  const auto key = mixer.kv_heads * mixer.head_dim;
  for (const double gain : {1.0, std::pow(8.0 * static_cast<double>(options.layers), -0.25)}) {
    if (gain != 1.0) options.norm.placement = NormPlacement::kDeepNorm;
    const auto specs = by_name(options);
    const ParameterSpec& qkv = specs.at("layers/00/attention/qkv_proj");
    EXPECT_NEAR(deviation(qkv, query - 1), xavier(static_cast<double>(query), hidden), 1e-12);
    EXPECT_NEAR(deviation(qkv, query), xavier(static_cast<double>(key), hidden), 1e-12);
    EXPECT_NEAR(deviation(qkv, query + key), gain * xavier(static_cast<double>(key), hidden), 1e-12);
    EXPECT_NEAR(deviation(specs.at("layers/00/attention/out_proj"), 0),
                gain * xavier(hidden, static_cast<double>(query)), 1e-12);
    const auto width = static_cast<double>(ffn_width(options));
    EXPECT_NEAR(deviation(specs.at("layers/00/ffn/gate_up_proj"), 0), gain * xavier(width, hidden), 1e-12);
    EXPECT_NEAR(deviation(specs.at("layers/00/ffn/down_proj"), 0), gain * xavier(hidden, width), 1e-12);
    EXPECT_DOUBLE_EQ(specs.at("embedding/weight").init_std, 0.02);
  }
}

TEST(ParameterSpecs, MaximalUpdateParametrizationScalesByRole) {
  ModelOptions options = quickstart();
  const auto base = by_name(options);
  options.mup.base_width = options.hidden_size;
  for (const auto& [name, spec] : by_name(options)) {
    EXPECT_EQ(spec.init_std, base.at(name).init_std) << name;
    EXPECT_EQ(spec.lr_factor, 1.0) << name;
  }
  options.mup.base_width = options.hidden_size / 4;
  const auto wide = by_name(options);
  const auto expect = [&](const char* name, double std, double lr) {
    EXPECT_NEAR(wide.at(name).init_std, base.at(name).init_std * std, 1e-12) << name;
    EXPECT_DOUBLE_EQ(wide.at(name).lr_factor, lr) << name;
  };
  expect("embedding/weight", 1.0, 1.0);
  expect("layers/00/attention/qkv_proj", 0.5, 0.25);
  expect("layers/00/ffn/down_proj", 0.5, 0.25);
  expect("layers/01/experts/gate_up_proj", 0.5, 0.25);
  expect("layers/01/router/weight", 0.25, 0.25);
  expect("final_norm/weight", 1.0, 1.0);
  EXPECT_DOUBLE_EQ(head_logits(options).scale, 0.25);
  options.mup.base_head_dim = options.attention.head_dim / 4;
  EXPECT_DOUBLE_EQ(layer_specs(options)[0].mixer.softmax_scale,
                   std::sqrt(static_cast<double>(options.mup.base_head_dim)) /
                       static_cast<double>(options.attention.head_dim));
}

TEST(ParameterSpecs, RangesOfExpertsMakeUpTheWhole) {
  const auto all = parameter_specs(quickstart(), 8192);
  EXPECT_EQ(expert_specs(all, 0, 7).size() + expert_specs(all, 7, 16).size() + dense_specs(all).size(),
            all.size());
  for (const auto& spec : expert_specs(all, 7, 16)) EXPECT_GE(spec.expert, 7);
}

TEST(LayerSpecs, SayWhichLayersHaveExpertsAndWhatTheirNamesBeginWith) {
  ModelOptions options = quickstart();
  options.layers = 6;
  options.moe.first_dense_layers = 1;
  options.moe.every = 2;
  options.attention.rope.fraction = 0.5;
  const auto layers = layer_specs(options);
  ASSERT_EQ(layers.size(), 6U);
  std::vector<std::int64_t> with_experts;
  for (const LayerSpec& layer : layers) {
    EXPECT_EQ(layer.prefix, layer_prefix(layer.layer, 6));
    EXPECT_EQ(layer.mixer.rope.fraction, 0.5);
    if (!layer.moe_layer) continue;
    EXPECT_EQ(*layer.moe_layer, std::ssize(with_experts));
    with_experts.push_back(layer.layer);
  }
  EXPECT_EQ(with_experts, (std::vector<std::int64_t>{2, 4}));
}

TEST(ParameterSpecs, LayerNumbersSortByLayer) {
  EXPECT_EQ(layer_prefix(3, 4), "layers/03/");
  EXPECT_EQ(layer_prefix(3, 100), "layers/03/");
  EXPECT_EQ(layer_prefix(3, 101), "layers/003/");
}

TEST(ParameterCounts, CountTheChosenExpertsAndATiedHeadOnce) {
  // By hand: attention 512*256 + 256*256 + 2*32, two norms of 256 a layer.
  constexpr std::int64_t kAttention = 512 * 256 + 256 * 256 + 64 + 512;
  constexpr std::int64_t kExpert = 3 * 256 * 256;
  constexpr std::int64_t kRest = 8192 * 256 + 256 + 4 * kAttention + 3 * 704 * 256 + 3 * (16 * 256 + kExpert);
  const ParameterCounts tied = count_parameters(quickstart(), 8192);
  EXPECT_EQ(tied.total, kRest + 3 * 16 * kExpert);
  EXPECT_EQ(tied.active, kRest + 3 * 2 * kExpert);

  ModelOptions options = quickstart();
  options.tie_embeddings = false;
  const ParameterCounts untied = count_parameters(options, 8192);
  EXPECT_EQ(untied.total, tied.total + 8192 * 256);
  EXPECT_EQ(untied.active, tied.active);
}

TEST(ParameterCounts, EqualThePublishedOnesOfDots1) {
  // rednote-hilab/dots.llm1: 142B parameters, 14B active (with its embedding).
  ModelOptions options;
  options.hidden_size = 4096;
  options.layers = 62;
  options.tie_embeddings = false;
  options.attention.heads = 32;
  options.attention.kv_heads = 32;
  options.attention.head_dim = 128;
  options.ffn.intermediate_size = 10944;
  options.moe.first_dense_layers = 1;
  options.moe.experts = 128;
  options.moe.top_k = 6;
  options.moe.expert_size = 1408;
  options.moe.shared_experts = 2;
  const ParameterCounts counts = count_parameters(options, 152064);
  EXPECT_NEAR(static_cast<double>(counts.total), 142e9, 1e9);
  EXPECT_NEAR(static_cast<double>(counts.active + 152064LL * 4096), 14e9, 0.5e9);
}

TEST(ParameterSpecs, EveryNthLayerHasExpertsAndTheOthersAreDense) {
  ModelOptions options = quickstart();
  options.layers = 7;
  options.moe.first_dense_layers = 1;
  options.moe.every = 3;
  const auto named = by_name(options);
  for (const std::int64_t layer : {0, 1, 2, 4, 5})
    EXPECT_TRUE(named.contains(layer_prefix(layer, 7) + "ffn/down_proj")) << layer;
  for (const std::int64_t layer : {3, 6})
    EXPECT_TRUE(named.contains(layer_prefix(layer, 7) + "experts/down_proj")) << layer;
  EXPECT_EQ(moe_layers(options), 2);
  EXPECT_EQ(layer_of_moe(options, 1), 6);
}

TEST(ParameterSpecs, ModulesForFurtherTokensAreAsTheLastLayerAndBehindIt) {
  ModelOptions options = quickstart();
  const std::int64_t layers = moe_layers(options);
  options.mtp.depth = 2;
  EXPECT_EQ(moe_layers(options), layers + 2);
  EXPECT_EQ(layer_of_moe(options, layers + 1), options.layers + 1);
  EXPECT_EQ(moe_index(options, options.layers + 1), layers + 1);
  EXPECT_FALSE(is_moe_layer(options, options.layers + 2));
  EXPECT_TRUE(by_name(options).contains("mtp/01/experts/down_proj"));
  options.moe.last_dense_layers = 1;
  EXPECT_EQ(moe_layers(options), layers - 1);
  EXPECT_TRUE(by_name(options).contains("mtp/01/ffn/down_proj"));
}

TEST(ParameterSpecs, AShortcutBeginsInTheFirstLayerOfEveryRun) {
  ModelOptions options = quickstart();
  options.layers = 7;
  options.moe.first_dense_layers = 1;
  options.moe.every = 3;
  options.moe.shortcut = true;
  EXPECT_EQ(layer_of_moe(options, 1), 4);
  EXPECT_EQ(moe_index(options, 4), 1);
  const auto named = by_name(options);
  for (const std::int64_t layer : {1, 4}) {
    EXPECT_TRUE(named.contains(layer_prefix(layer, 7) + "experts/down_proj")) << layer;
    EXPECT_EQ(layer_spec(options, layer).shortcut, ShortcutPlace::kBegins);
    EXPECT_EQ(layer_spec(options, layer + 1).shortcut, ShortcutPlace::kPasses);
    EXPECT_EQ(layer_spec(options, layer + 2).shortcut, ShortcutPlace::kEnds);
  }
  EXPECT_EQ(layer_spec(options, 0).shortcut, ShortcutPlace::kNone);
  for (std::int64_t layer = 0; layer < 7; ++layer)
    EXPECT_TRUE(named.contains(layer_prefix(layer, 7) + "ffn/down_proj")) << layer;
}

TEST(ParameterCounts, ModulesForFurtherTokensAreCountedApartAndNotMetByAWrittenToken) {
  ModelOptions options = quickstart();
  const ParameterCounts without = count_parameters(options, 8192);
  options.mtp.depth = 1;
  const ParameterCounts counts = count_parameters(options, 8192);
  EXPECT_EQ(counts.active, without.active);
  EXPECT_EQ(counts.total, without.total + counts.mtp);
  EXPECT_GT(training_flops(options, 8192, 10, 0), training_flops(quickstart(), 8192, 10, 0));
}

TEST(ParameterCounts, ExpertsWithoutAGateHaveTwoMatricesAndBiasesCount) {
  const auto expert = [](layers::FfnForm form) {
    ModelOptions options = quickstart();
    options.ffn.form = form;
    ModelOptions larger = options;
    larger.moe.experts += 1;
    return (count_parameters(larger, 8192).total - count_parameters(options, 8192).total) / 3 - 256;
  };
  EXPECT_EQ(expert({layers::Activation::kGeGlu, false}), 3 * 256 * 256);
  EXPECT_EQ(expert({layers::Activation::kRelu2, false}), 2 * 256 * 256);
  EXPECT_EQ(expert({layers::Activation::kClampedSwiGlu, true}), 3 * 256 * 256 + 2 * 256 + 256);
}

TEST(ParameterCounts, ZeroComputeExpertsLowerWhatATokenUses) {
  ModelOptions options = quickstart();
  const std::int64_t without = count_parameters(options, 8192).active;
  options.moe.router.zero_experts = options.moe.experts;
  constexpr std::int64_t kExpert = 3 * 256 * 256;
  EXPECT_EQ(count_parameters(options, 8192).active,
            without + 3 * (16 * 256 - kExpert));  // one of two is used
  options.moe.balancer.routed_per_token = 1.5;
  EXPECT_EQ(count_parameters(options, 8192).active, without + 3 * (16 * 256 - kExpert / 2));
}

TEST(TrainingFlops, AreSixPerActiveParameterAndTwelvePerVisiblePair) {
  const auto active = static_cast<double>(count_parameters(quickstart(), 8192).active);
  EXPECT_DOUBLE_EQ(training_flops(quickstart(), 8192, 10, 0), 60.0 * active);
  EXPECT_DOUBLE_EQ(training_flops(quickstart(), 8192, 0, 7), 12.0 * 256 * 4 * 7);
  EXPECT_DOUBLE_EQ(training_flops_per_token(quickstart(), 8192, 255), 6.0 * active + 12.0 * 256 * 4 * 128);
}

}  // namespace
}  // namespace troupe::model
