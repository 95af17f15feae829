// Attention by layer, as configurations say it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "configs/silent_options.h"
#include "model/widths.h"
#include "tests/configs/config_text.h"

namespace troupe::configs::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kTwoMixers = R"(
model:
  layers: 6
  mixers:
    local: {window: 128, rope: {theta: 1.0e4}}
    full: {qk_norm: full, rope: null}
  attention: {heads: 16, rope: {theta: 5.0e5, fraction: 0.5}}
  layer_pattern: [local*2, full]
  layer_exceptions: {5: local}
)";

TEST(Mixers, BeginWithAttentionAndDifferInWhatTheySet) {
  const model::ModelOptions model = parse(kTwoMixers).model;
  ASSERT_EQ(model.mixers.size(), 2U);
  const auto& [local_name, local] = model.mixers[0];
  const auto& [full_name, full] = model.mixers[1];
  EXPECT_EQ(local_name, "local");
  EXPECT_EQ(full_name, "full");
  EXPECT_EQ(local.heads, 16);
  EXPECT_EQ(local.window, 128);
  EXPECT_EQ(local.rope.theta, 1e4);
  EXPECT_EQ(local.rope.fraction, 0.5);
  EXPECT_EQ(local.positions, model::Positions::kRope);
  EXPECT_EQ(full.heads, 16);
  EXPECT_EQ(full.window, 0);
  EXPECT_EQ(full.qk_norm, model::QkNorm::kFull);
  EXPECT_EQ(full.positions, model::Positions::kNone);
  std::vector<std::int64_t> windows;
  for (const auto& mixer : model::layer_mixers(model)) windows.push_back(mixer.window);
  EXPECT_THAT(windows, ElementsAre(128, 128, 0, 128, 128, 128));
}

TEST(Mixers, AreWrittenInARecordThatReadsBack) {
  const RunConfig config = parse(kTwoMixers);
  const RunConfig again = parse(dump(config));
  EXPECT_EQ(dump(again), dump(config));
  EXPECT_EQ(again.model.mixers[1].options.positions, model::Positions::kNone);
  EXPECT_EQ(again.model.mixers[0].options.rope.fraction, 0.5);
}

TEST(Mixers, OneOptionOfOneIsSetFromTheCommandLine) {
  const RunConfig config = parse(kTwoMixers, {"model.mixers.local.window=64"});
  EXPECT_EQ(config.model.mixers[0].options.window, 64);
}

TEST(Mixers, QkNormIsStillAFlagToo) {
  EXPECT_EQ(parse("model: {attention: {qk_norm: true}}").model.attention.qk_norm, model::QkNorm::kPerHead);
  EXPECT_EQ(parse("model: {attention: {qk_norm: false}}").model.attention.qk_norm, model::QkNorm::kNone);
  EXPECT_THAT(mistakes("model: {attention: {qk_norm: 'true'}}"), HasSubstr("one of none, per_head, full"));
}

TEST(Mixers, MistakesNameTheMixer) {
  const auto two = [](const std::string& setting) { return mistakes(kTwoMixers, {setting}); };
  EXPECT_THAT(two("model.mixers.local.kv_heads=3"), HasSubstr("model.mixers.local.kv_heads = 3 must divide"));
  EXPECT_THAT(two("model.mixers.local.widow=3"), HasSubstr("did you mean model.mixers.local.window?"));
  EXPECT_THAT(two("model.mixers.local=3"), HasSubstr("model.mixers.local must be a group"));
  EXPECT_THAT(two("model.layer_pattern=[]"), HasSubstr("which of model.mixers"));
  EXPECT_THAT(two("model.layer_pattern=[other]"), HasSubstr("no mixer 'other'"));
  EXPECT_THAT(two("model.layer_pattern=[local*0]"), HasSubstr("NAME*COUNT"));
  EXPECT_THAT(two("model.layer_exceptions={6: full}"), HasSubstr("numbered from 0 to 5"));
  EXPECT_THAT(two("model.mixers=null"), HasSubstr("model.mixers has none"));
}

TEST(Mixers, RopeRefusesWhatCannotBe) {
  const auto one = [](const std::string& setting) { return mistakes("", split_words(setting)); };
  EXPECT_THAT(one("model.attention.rope.scaling.low_frequency_factor=5"), HasSubstr("exceeds"));
  EXPECT_THAT(one("model.attention.rope.scaling.beta_slow=64"), HasSubstr("exceeds beta_fast"));
  EXPECT_EQ(one("model.attention.rope.fraction=0.1 model.attention.positions=none"), "");
}

TEST(Mixers, LatentAttentionRefusesWhatItHasNot) {
  const auto latent = [](const std::string& setting) {
    return mistakes("model: {attention: {kind: mla}}", {"model.attention." + setting});
  };
  EXPECT_EQ(latent("heads=3"), "");
  EXPECT_THAT(latent("latent.nope_dim=250"), HasSubstr("exceeds 256"));
  EXPECT_THAT(latent("latent.value_dim=64"), HasSubstr("exceeds rope_dim + nope_dim"));
  EXPECT_THAT(latent("latent.rope_dim=7"), HasSubstr("must be even"));
  EXPECT_THAT(latent("qkv_bias=true"), HasSubstr("no biases"));
  EXPECT_THAT(latent("out_bias=true"), HasSubstr("no biases"));
  EXPECT_THAT(latent("sinks=true"), HasSubstr("no sinks"));
}

TEST(Mixers, AStrideNeedsAWindowThatItGoesBeyond) {
  EXPECT_THAT(mistakes("", {"model.attention.stride=8"}), HasSubstr("set model.attention.window"));
  EXPECT_EQ(mistakes("", {"model.attention.stride=8", "model.attention.window=1"}), "");
  EXPECT_THAT(
      mistakes("", split_words("model.attention.stride=8 model.attention.window=4 parallel.device=cuda")),
      HasSubstr("model.attention.stride: "));
  EXPECT_THAT(mistakes("", split_words("model.attention.temperature=1 model.attention.temperature_shape=log "
                                       "model.attention.temperature_length=1")),
              HasSubstr("above 1"));
}

TEST(Model, PartsRefuseWhatTheyHaveNot) {
  EXPECT_THAT(mistakes("", split_words("model.logits.normed=true model.logits.bias=true")),
              HasSubstr("no bias"));
  EXPECT_THAT(mistakes("", split_words("model.mup.base_width=8 model.init.kind=xavier")),
              HasSubstr("set it to normal"));
  EXPECT_THAT(mistakes("", split_words("model.moe.router.softcap=30 model.moe.router.selection=noisy_top_k")),
              HasSubstr("router.softcap: 0"));
  EXPECT_THAT(mistakes("model: {norm: {bias: true}}"), HasSubstr("the bias of kind: layer_norm"));
  EXPECT_THAT(mistakes("model: {embedding: {positions: 8}}"), HasSubstr("too few"));
}

TEST(Model, FurtherTokensAndShortcutsRefuseWhatTheyDoNotGoWith) {
  const auto one = [](const std::string& settings) { return mistakes("", split_words(settings)); };
  EXPECT_EQ(one("model.mtp.depth=2"), "");
  EXPECT_THAT(one("model.mtp.depth=2 objective.kind=dpo"), HasSubstr("compares answers"));
  EXPECT_THAT(one("model.mtp.depth=1 model.embedding.positions=4096"), HasSubstr("set one of them to 0"));
  EXPECT_THAT(one("model.mtp.depth=7 data.sequence_length=8"), HasSubstr("leaves nothing"));
  EXPECT_THAT(one("model.moe.shortcut=true"), HasSubstr("must be at least 2"));
  EXPECT_THAT(one("model.moe.shortcut=true model.moe.every=2"), HasSubstr("divide the 3 layers"));
  const std::string sound = "model.moe.shortcut=true model.moe.every=2 model.moe.first_dense_layers=0";
  EXPECT_EQ(one(sound), "");
  EXPECT_THAT(one(sound + " model.norm.placement=sandwich"), HasSubstr("goes with norm.placement: pre"));
}

TEST(Model, WhatHasNoKernelOnADeviceIsRefusedByName) {
  for (const char* setting :
       {"model.dropout.embedding=0.1", "model.mtp.depth=1", "model.dropout.residual=0.1",
        "model.dropout.attention=0.1", "model.dropout.ffn=0.1", "model.attention.output_gate=true",
        "model.norm.placement=deepnorm", "model.logits.normed=true", "model.mup.base_width=64",
        "model.moe.router.softcap=30", "model.moe.output_scale=0.5"}) {
    const std::string key(setting, std::string(setting).find('='));
    EXPECT_THAT(mistakes("", {"parallel.device=cuda", setting}), HasSubstr(key + ": ")) << setting;
    EXPECT_EQ(mistakes("", {setting}), "") << setting;
  }
  for (const char* setting : {"model.attention.window=8",
                              "model.attention.chunk=8",
                              "model.attention.qkv_bias=true",
                              "model.ffn.activation=relu",
                              "model.ffn.activation=silu",
                              "model.norm.placement=sandwich",
                              "model.attention.positions=none",
                              "model.attention.sinks=true",
                              "model.attention.softcap=30",
                              "model.attention.softmax_scale=0.1",
                              "model.attention.kind=mla",
                              "model.norm.kind=layer_norm",
                              "model.attention.rope.pairing=interleaved",
                              "model.norm.kind=rms_plus_one",
                              "model.norm.placement=post",
                              "model.residual_multiplier=0.5",
                              "model.embedding.scale=2",
                              "model.logits.scale=0.5",
                              "model.logits.softcap=30",
                              "model.attention.qk_norm=l2",
                              "model.attention.temperature=0.1",
                              "model.attention.positions=alibi",
                              "model.attention.query_rank=8"})
    EXPECT_EQ(mistakes("", {"parallel.device=cuda", setting}), "") << setting;
}

TEST(Model, TheWidthOfAFeedForwardMayBeLeftToTheRule) {
  const auto width = [](const std::string& settings) {
    return model::ffn_width(parse("", split_words("model.ffn.intermediate_size=auto " + settings)).model);
  };
  EXPECT_EQ(width("model.hidden_size=4096"), 11008);  // Llama's
  EXPECT_EQ(width("model.hidden_size=5120"), 13824);
  EXPECT_EQ(width("model.hidden_size=384"), 1024);  // of 1024 nothing is rounded up
  EXPECT_EQ(width("model.hidden_size=768 model.ffn.activation=gelu"), 3072);
  EXPECT_EQ(model::ffn_width(parse("").model), 704);
}

TEST(SilentOptions, OfMixersWhatEachSetsAndOfAttentionWhatNoneReads) {
  const auto silent = [](const std::string& settings) {
    return silent_options(
        parse(kTwoMixers, settings.empty() ? std::vector<std::string>{} : split_words(settings)));
  };
  EXPECT_THAT(silent(""), IsEmpty()) << "full has no rope, local reads what attention says of it";
  EXPECT_THAT(
      silent("model.mixers.full.rope.theta=7 model.mixers.full.positions=none"),
      ElementsAre("model.mixers.full.rope.theta = 7 has no effect with model.mixers.full.positions = none"));
  EXPECT_THAT(silent("model.mixers.local.latent.kv_rank=7"),
              ElementsAre(HasSubstr("model.mixers.local.latent.kv_rank = 7 has no effect")));
  EXPECT_THAT(silent("model.attention.latent.kv_rank=7"),
              ElementsAre("model.attention.latent.kv_rank = 7 has no effect in any of model.mixers"));
  EXPECT_THAT(silent("model.mixers.local.temperature_length=7"), ElementsAre(HasSubstr("temperature = 0")));
}

TEST(SilentOptions, OfAttentionThatAnotherSilences) {
  const auto silent = [](const std::string& settings) {
    return silent_options(parse("", split_words(settings)));
  };
  EXPECT_THAT(silent("model.attention.positions=none model.attention.rope.theta=7"),
              ElementsAre(HasSubstr("model.attention.rope.theta = 7 has no effect")));
  EXPECT_THAT(silent("model.attention.latent.kv_rank=7"), ElementsAre(HasSubstr("latent.kv_rank")));
  EXPECT_THAT(silent("model.attention.rope.scaling.kind=linear model.attention.rope.scaling.factor=2"),
              IsEmpty());
  EXPECT_THAT(silent("model.attention.rope.scaling.kind=linear model.attention.rope.scaling.beta_fast=2"),
              ElementsAre(HasSubstr("beta_fast")));
}

}  // namespace
}  // namespace troupe::configs::testing
