#include <gtest/gtest.h>

#include "tests/model/group_run.h"

namespace troupe::model {
namespace {

struct Case {
  const char* name;
  void (*change)(ModelOptions&);
};

class TransformerGradient : public testing::TestWithParam<Case> {};

constexpr double kTolerance = 1e-4;

TEST_P(TransformerGradient, EqualsCentralDifferencesOfTheReferenceModel) {
  ModelOptions options = reference::tiny_options();
  GetParam().change(options);
  std::vector<reference::Batch> lanes{options.objective.compares() ? reference::random_pairs(1, 2, 9)
                                                                   : reference::random_batch(1, 2, 9)};
  reference::Step step = reference::random_step(options, lanes);
  step.first_token = lanes[0].first_token = 1000;
  const GroupRun run = run_group(options, lanes, step, 1, {});

  const reference::Weights weights(options, 0, options.moe.experts);
  const reference::Model model(options, reference::kVocab);
  reference::Parameters parameters = weights.parameters();
  const auto check = [&](const ParameterTable& table, std::span<const float> gradient) {
    for (std::size_t i = 0; i < table.specs().size(); ++i) {
      const ParameterSpec& spec = table.specs()[i];
      const double error = reference::gradient_error(
          reference::tensor(table, gradient, i), parameters.at({spec.name, spec.expert}),
          [&] { return model.run(parameters, lanes[0], step).loss; }, 8);
      EXPECT_LE(error, kTolerance) << spec.name << " expert " << spec.expert;
    }
  };
  check(weights.dense, run.dense[0]);
  check(weights.experts, run.expert_lanes[0]);
}

TEST_P(TransformerGradient, LossesCountsAndLogitsEqualTheReferenceModel) {
  ModelOptions options = reference::tiny_options();
  GetParam().change(options);
  std::vector<reference::Batch> lanes{options.objective.compares() ? reference::random_pairs(1, 2, 9)
                                                                   : reference::random_batch(1, 2, 9)};
  reference::Step step = reference::random_step(options, lanes);
  step.first_token = lanes[0].first_token = 1000;
  const GroupRun run = run_group(options, lanes, step, 1, {});
  const reference::Weights weights(options, 0, options.moe.experts);
  const reference::Result expected =
      reference::Model(options, reference::kVocab).run(weights.parameters(), lanes[0], step);

  reference::Step without_noise = step;  // evaluations are
  without_noise.training = false;
  const reference::Result evaluated =
      reference::Model(options, reference::kVocab).run(weights.parameters(), lanes[0], without_noise);

  const MicrobatchResult& result = run.results[0];
  EXPECT_NEAR(result.nll, expected.nll, 1e-4 * expected.nll);
  EXPECT_NEAR(result.log_z_squared, expected.log_z_squared, 1e-4 * expected.log_z_squared);
  EXPECT_NEAR(result.mtp_nll, expected.mtp_nll, 1e-4 * expected.mtp_nll);
  EXPECT_EQ(result.target_tokens, step.target_tokens);
  for (std::size_t t = 0; t < evaluated.token_nll.size(); ++t)
    EXPECT_NEAR(run.token_nll[0][t], evaluated.token_nll[t], 1e-4);
  for (std::size_t v = 0; v < run.last_logits[0].size(); ++v) {
    EXPECT_NEAR(run.last_logits[0][v], evaluated.logits.back()[v], 1e-4);
  }
  const std::size_t losses = options.moe.aux_loss.size();
  for (std::size_t layer = 0; layer < expected.routing.size(); ++layer) {
    const auto counts = result.load.counts.layer(static_cast<int>(layer));
    EXPECT_EQ(std::vector(counts.begin(), counts.end()), expected.routing[layer].counts);
    EXPECT_NEAR(result.router_z_loss[layer], expected.routing[layer].z_loss, 1e-3);
    for (std::size_t a = 0; a < losses; ++a) {
      EXPECT_NEAR(result.aux_loss[layer * losses + a], expected.routing[layer].aux_loss[a], 1e-4);
    }
  }
}

using experts::AuxLossKind;
using experts::AuxScope;
using experts::FrequencySource;

INSTANTIATE_TEST_SUITE_P(
    Options, TransformerGradient,
    testing::Values(
        Case{"plain", [](ModelOptions&) {}},
        Case{"untied", [](ModelOptions& o) { o.tie_embeddings = false; }},
        Case{"every_second_layer_has_experts",
             [](ModelOptions& o) {
               o.moe.first_dense_layers = 0;
               o.moe.every = 2;
             }},
        Case{"gpt_oss_feed_forward",
             [](ModelOptions& o) {
               o.ffn.form = {layers::Activation::kClampedSwiGlu, true};
             }},
        Case{"gated_shared_experts", [](ModelOptions& o) { o.moe.shared_gate = true; }},
        Case{"dpo",
             [](ModelOptions& o) {
               o.objective = {ObjectiveKind::kDpo, 0.3};
             }},
        Case{"dpo_untied",
             [](ModelOptions& o) {
               o.tie_embeddings = false;
               o.objective = {ObjectiveKind::kDpo, 2.0};
             }},
        Case{"reward", [](ModelOptions& o) { o.objective.kind = ObjectiveKind::kReward; }},
        Case{"reward_untied",
             [](ModelOptions& o) {
               o.tie_embeddings = false;
               o.objective.kind = ObjectiveKind::kReward;
             }},
        Case{"loss_z_loss", [](ModelOptions& o) { o.loss.z_loss = 0.01; }},
        Case{"no_qk_norm_partial_rope",
             [](ModelOptions& o) {
               o.attention.qk_norm = QkNorm::kNone;
               o.attention.rope.fraction = 0.7;
             }},
        Case{"mixers_by_layer",
             [](ModelOptions& o) {
               AttentionOptions local = o.attention;
               local.heads = 2;
               local.kv_heads = 1;
               local.window = 3;
               local.qk_norm = QkNorm::kNone;
               AttentionOptions chunked = o.attention;
               chunked.chunk = 2;
               chunked.positions = Positions::kNone;
               o.mixers = {{"full", o.attention}, {"local", local}, {"chunked", chunked}};
               o.layer_pattern = {"local", "full"};
               o.layer_exceptions = {{"2", "chunked"}};
             }},
        Case{"attention_biases_and_full_qk_norm",
             [](ModelOptions& o) {
               o.attention.qkv_bias = true;
               o.attention.out_bias = true;
               o.attention.qk_norm = QkNorm::kFull;
             }},
        Case{"sinks_soft_cap_and_scale",
             [](ModelOptions& o) {
               o.attention.sinks = true;
               o.attention.softcap = 1.5;
               o.attention.softmax_scale = 0.6;
               o.attention.window = 4;
             }},
        Case{"latent_attention",
             [](ModelOptions& o) {
               o.attention.kind = AttentionKind::kMla;
               o.attention.latent = {
                   .query_rank = 5, .kv_rank = 7, .nope_dim = 3, .rope_dim = 4, .value_dim = 5};
             }},
        Case{"latent_attention_without_a_query_latent",
             [](ModelOptions& o) {
               o.attention.kind = AttentionKind::kMla;
               o.attention.positions = Positions::kNone;
               o.attention.latent = {
                   .query_rank = 0, .kv_rank = 7, .nope_dim = 3, .rope_dim = 2, .value_dim = 5};
               o.attention.window = 5;
             }},
        Case{"further_tokens",
             [](ModelOptions& o) {
               o.mtp = {.depth = 1, .loss_weight = 0.7};
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kGlobal, 0.3, FrequencySource::kActual}};
             }},
        Case{"two_further_tokens_untied_behind_a_dense_layer",
             [](ModelOptions& o) {
               o.mtp = {.depth = 2, .loss_weight = 1.3};
               o.tie_embeddings = false;
               o.moe.first_dense_layers = 0;
               o.moe.last_dense_layers = 1;
               o.embedding.scale = 1.5;
               o.logits.softcap = 3.0;
               o.norm.kind = layers::NormKind::kRmsPlusOne;
               o.norm.placement = NormPlacement::kSandwich;
             }},
        Case{"shortcut_with_scaled_latents_and_zero_experts",
             [](ModelOptions& o) {
               o.layers = 4;
               o.moe.first_dense_layers = 0;
               o.moe.every = 2;
               o.moe.shortcut = true;
               o.moe.router.zero_experts = 2;
               o.attention.kind = AttentionKind::kMla;
               o.attention.latent = {.query_rank = 5,
                                     .kv_rank = 7,
                                     .nope_dim = 3,
                                     .rope_dim = 4,
                                     .value_dim = 5,
                                     .query_scale = 1.4,
                                     .kv_scale = 0.6};
             }},
        Case{"shortcut_over_three_layers",
             [](ModelOptions& o) {
               o.layers = 4;
               o.moe.every = 3;
               o.moe.shortcut = true;
             }},
        Case{"alibi_and_queries_from_a_latent",
             [](ModelOptions& o) {
               o.attention.positions = Positions::kAlibi;
               o.attention.query_rank = 5;
               o.moe.first_dense_layers = 0;
               o.moe.last_dense_layers = 2;
             }},
        Case{"l2_norm_after_the_rotation_and_temperature",
             [](ModelOptions& o) {
               o.attention.qk_norm = QkNorm::kL2;
               o.attention.temperature = 0.4;
               o.attention.temperature_length = 2;
               o.moe.first_dense_layers = o.layers;
               o.ffn.form.activation = layers::Activation::kSilu;
             }},
        Case{"dropout",
             [](ModelOptions& o) {
               o.dropout = {.embedding = 0.2, .residual = 0.3};
               o.residual_multiplier = 1.2;
             }},
        Case{"dropout_parallel",
             [](ModelOptions& o) {
               o.dropout.residual = 0.3;
               o.norm.placement = NormPlacement::kParallel;
             }},
        Case{"dropout_of_attention_and_feed_forward",
             [](ModelOptions& o) {
               o.dropout = {.attention = 0.3, .ffn = 0.25};
               o.attention.sinks = true;
               o.attention.softcap = 2.0;
             }},
        Case{"dropout_of_latent_attention",
             [](ModelOptions& o) {
               o.dropout.attention = 0.4;
               o.attention.kind = AttentionKind::kMla;
               o.attention.output_gate = true;
               o.attention.latent = {
                   .query_rank = 5, .kv_rank = 7, .nope_dim = 3, .rope_dim = 4, .value_dim = 5};
             }},
        Case{"output_gate_with_biases_and_a_query_latent",
             [](ModelOptions& o) {
               AttentionOptions plain = o.attention;
               plain.output_gate = true;
               plain.qkv_bias = true;
               AttentionOptions latent = o.attention;
               latent.output_gate = true;
               latent.query_rank = 5;
               o.mixers = {{"plain", plain}, {"latent", latent}};
               o.layer_pattern = {"plain", "latent"};
             }},
        Case{"banded_and_strided",
             [](ModelOptions& o) {
               AttentionOptions banded = o.attention;
               banded.window = 2;
               AttentionOptions strided = o.attention;
               strided.window = 2;
               strided.stride = 3;
               o.mixers = {{"banded", banded}, {"strided", strided}};
               o.layer_pattern = {"strided", "banded"};
             }},
        Case{"ntk_and_a_logarithmic_temperature",
             [](ModelOptions& o) {
               o.attention.rope.scaling = {.kind = RopeScalingKind::kNtk, .factor = 4.0};
               o.attention.temperature = 0.8;
               o.attention.temperature_shape = TemperatureShape::kLog;
               o.attention.temperature_length = 2;
             }},
        Case{"deepnorm_xavier",
             [](ModelOptions& o) {
               o.norm.placement = NormPlacement::kDeepNorm;
               o.norm.eps = 0.01;
               o.attention.qk_norm = QkNorm::kL2;
               o.residual_multiplier = 0.8;
               o.init.kind = InitKind::kXavier;
             }},
        Case{"mup",
             [](ModelOptions& o) {
               o.mup = {.base_width = 5, .base_head_dim = 4};
               o.logits.softcap = 2.0;
             }},
        Case{"normed_head",
             [](ModelOptions& o) {
               o.logits.normed = true;
               o.logits.scale = 3.0;
             }},
        Case{"normed_head_untied",
             [](ModelOptions& o) {
               o.logits.normed = true;
               o.logits.softcap = 1.5;
               o.tie_embeddings = false;
             }},
        Case{"grok_2",
             [](ModelOptions& o) {
               o.norm.placement = NormPlacement::kSandwich;
               o.moe.shared_experts = 2;
               o.moe.output_scale = 0.7;
               o.moe.router.score = experts::Score::kSoftmax;
               o.moe.router.normalize_weights = false;
               o.moe.router.softcap = 0.5;
               o.moe.router.z_loss = 0.05;
             }},
        Case{"neighbours_turn_together",
             [](ModelOptions& o) {
               o.attention.rope.pairing = RopePairing::kInterleaved;
               o.attention.rope.scaling = {.kind = RopeScalingKind::kLinear, .factor = 3.0};
             }},
        Case{"llama3_scaling",
             [](ModelOptions& o) {
               o.attention.rope.scaling = {
                   .kind = RopeScalingKind::kLlama3, .factor = 4.0, .original_length = 32};
             }},
        Case{"yarn",
             [](ModelOptions& o) {
               o.attention.rope.scaling = {.kind = RopeScalingKind::kYarn,
                                           .factor = 4.0,
                                           .original_length = 16,
                                           .beta_fast = 2.0,
                                           .beta_slow = 0.5,
                                           .truncate = false};
             }},
        Case{"layer_norm_parallel",
             [](ModelOptions& o) {
               o.norm.kind = layers::NormKind::kLayerNorm;
               o.norm.bias = true;
               o.norm.placement = NormPlacement::kParallel;
               o.residual_multiplier = 0.7;
             }},
        Case{"layer_norm_without_bias_post",
             [](ModelOptions& o) {
               o.norm.kind = layers::NormKind::kLayerNorm;
               o.norm.placement = NormPlacement::kPost;
             }},
        Case{"rms_plus_one_sandwich",
             [](ModelOptions& o) {
               o.norm.kind = layers::NormKind::kRmsPlusOne;
               o.norm.placement = NormPlacement::kSandwich;
               o.residual_multiplier = 1.4;
               o.embedding.scale = 3.0;
               o.logits.softcap = 2.0;
             }},
        Case{"post_residual", [](ModelOptions& o) { o.norm.placement = NormPlacement::kPostResidual; }},
        Case{"learned_positions_and_a_head_with_bias",
             [](ModelOptions& o) {
               o.attention.positions = Positions::kNone;
               o.embedding.positions = 11;
               o.embedding.scale = 0.5;
               o.logits.bias = true;
               o.logits.scale = 0.4;
             }},
        Case{"dense_only", [](ModelOptions& o) { o.moe.first_dense_layers = o.layers; }},
        Case{"no_shared_expert", [](ModelOptions& o) { o.moe.shared_experts = 0; }},
        Case{"two_shared_experts", [](ModelOptions& o) { o.moe.shared_experts = 2; }},
        Case{"softmax", [](ModelOptions& o) { o.moe.router.score = experts::Score::kSoftmax; }},
        Case{"softmax_not_normalized",
             [](ModelOptions& o) {
               o.moe.router.score = experts::Score::kSoftmax;
               o.moe.router.normalize_weights = false;
             }},
        Case{"sigmoid_not_normalized", [](ModelOptions& o) { o.moe.router.normalize_weights = false; }},
        Case{"softmax_after_topk",
             [](ModelOptions& o) {
               o.moe.router.score = experts::Score::kSoftmax;
               o.moe.router.softmax_after_topk = true;
             }},
        Case{"router_z_loss", [](ModelOptions& o) { o.moe.router.z_loss = 0.05; }},
        Case{
            "aux_micro",
            [](ModelOptions& o) {
              o.moe.aux_loss = {{AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.3, FrequencySource::kActual}};
            }},
        Case{"aux_global_unbiased",
             [](ModelOptions& o) {
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kGlobal, 0.3, FrequencySource::kUnbiased}};
             }},
        Case{"aux_previous",
             [](ModelOptions& o) {
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kPrevious, 0.3, FrequencySource::kActual},
                   {AuxLossKind::kLoadBalance, AuxScope::kPrevious, 0.2, FrequencySource::kUnbiased}};
             }},
        Case{"aux_sequence",
             [](ModelOptions& o) {
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kSequence, 0.3, FrequencySource::kActual},
                   {AuxLossKind::kLoadBalance, AuxScope::kSequence, 0.2, FrequencySource::kUnbiased}};
             }},
        Case{"aux_running",
             [](ModelOptions& o) {
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kRunning, 0.3, FrequencySource::kActual},
                   {AuxLossKind::kLoadBalance, AuxScope::kRunning, 0.2, FrequencySource::kUnbiased}};
             }},
        Case{"aux_importance_and_orthogonal",
             [](ModelOptions& o) {
               o.moe.aux_loss = {{.kind = AuxLossKind::kImportance, .coefficient = 0.5},
                                 {.kind = AuxLossKind::kOrthogonal, .coefficient = 0.5}};
             }},
        Case{"noisy_top_k_with_importance_and_load",
             [](ModelOptions& o) {
               o.moe.router.score = experts::Score::kSoftmax;
               o.moe.router.softmax_after_topk = true;
               o.moe.router.selection = experts::Selection::kNoisyTopK;
               o.moe.aux_loss = {{.kind = AuxLossKind::kImportance, .coefficient = 0.5},
                                 {.kind = AuxLossKind::kLoad, .coefficient = 0.5}};
             }},
        Case{"two_aux_losses_softmax",
             [](ModelOptions& o) {
               o.moe.router.score = experts::Score::kSoftmax;
               o.moe.aux_loss = {
                   {AuxLossKind::kLoadBalance, AuxScope::kGlobal, 0.2, FrequencySource::kActual},
                   {AuxLossKind::kLoadBalance, AuxScope::kMicro, 0.4, FrequencySource::kUnbiased}};
             }}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace troupe::model
