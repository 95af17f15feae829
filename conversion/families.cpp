#include <fmt/ranges.h>

#include "base/error.h"
#include "conversion/family.h"
#include "conversion/positions.h"

namespace troupe::conversion {
namespace {

const std::map<std::string, std::string> kGated{
    {"silu", "swiglu"}, {"gelu_pytorch_tanh", "geglu_tanh"}, {"gelu", "geglu"}, {"relu", "reglu"}};
const std::map<std::string, std::string> kPlain{
    {"gelu_new", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"}, {"gelu", "gelu"}};
const std::string kLayer = "model.layers.{l}.";

// ---- parts that families have in common ----

/// What all have that follow Llama.
Aspects llama_like(double eps = 1e-6, bool tied = false) {
  return {bookkeeping(),
          value({"vocab_size"}, "vocab_size"),
          value({"hidden_size"}, "hidden_size"),
          value({"num_hidden_layers"}, "layers"),
          value({"rms_norm_eps"}, "norm.eps", eps),
          word("hidden_act", "ffn.activation", kGated, "silu"),
          value({"tie_word_embeddings"}, "tie_embeddings", tied)};
}

Aspects dense_layers() { return {dense(), value({"intermediate_size"}, "ffn.intermediate_size")}; }

/// norm: none, per_head or full, of queries and keys
Aspects grouped_heads(const std::string& norm) { return {heads(), implied("attention.qk_norm", norm)}; }

/// One key for the biases of all four projections.
Aspect all_biases(bool absent) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                const bool has = config.flag("attention_bias", absent);
                options["attention.qkv_bias"] = options["attention.out_bias"] = has ? "true" : "false";
              },
          .write =
              [](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
                config["attention_bias"] = json_of(options.at("attention.qkv_bias"));
              }};
}

/// Softmax over all experts, none shared, and none for selection only.
Aspects softmax_router() {
  return {implied("moe.router.score", "softmax"), implied("moe.shared_experts", "0"),
          implied("moe.balancer.kind", "none")};
}

/// Sizes of experts as DeepSeek calls them.
Aspects deepseek_experts() {
  return {value({"n_routed_experts", "num_local_experts"}, "moe.experts"),
          value({"n_shared_experts"}, "moe.shared_experts"),
          value({"num_experts_per_tok"}, "moe.top_k"),
          value({"moe_intermediate_size"}, "moe.expert_size"),
          value({"intermediate_size"}, "ffn.intermediate_size"),
          value({"first_k_dense_replace"}, "moe.first_dense_layers"),
          value({"routed_scaling_factor"}, "moe.router.scale", 1.0),
          fixed("moe_layer_freq", 1)};
}

/// Sigmoid scores with a bias for selection: DeepSeek-V3's.
Aspects sigmoid_router() {
  return {implied("moe.router.score", "sigmoid"),
          implied("moe.balancer.kind", "sign"),
          value({"norm_topk_prob"}, "moe.router.normalize_weights", true),
          fixed("scoring_func", "sigmoid"),
          fixed("topk_method", "noaux_tc"),
          groups("top2_sum")};
}

/// Modules of multi-token prediction, whose tensors are those of layers behind the last one. Theirs do not
/// say the weight of the loss.
Aspect further_tokens() { return value({"num_nextn_predict_layers"}, "mtp.depth", 0); }

Aspects layer_norm(const std::string& key, bool bias) {
  return {implied("norm.kind", "layer_norm"), implied("norm.bias", bias ? "true" : "false"),
          value({key}, "norm.eps", 1e-5)};
}

TensorNames with_router_bias(TensorNames names, const std::string& folder = "mlp.gate.") {
  names.router_bias = kLayer + folder + "e_score_correction_bias";
  return names;
}

// ---- the families ----

Family llama() {
  return {"llama", "LlamaForCausalLM",
          joined({llama_like(),
                  grouped_heads("none"),
                  {rope(), all_biases(false), value({"mlp_bias"}, "ffn.bias", false)},
                  dense_layers()}),
          llama_names()};
}

Family mistral() {
  return {"mistral", "MistralForCausalLM",
          joined({llama_like(), grouped_heads("none"), {rope(), window()}, dense_layers()}), llama_names()};
}

Family mixtral() {
  TensorNames names = llama_names("block_sparse_moe");
  const std::string expert = kLayer + "block_sparse_moe.experts.{e}.";
  return {"mixtral", "MixtralForCausalLM",
          joined({llama_like(1e-5),
                  grouped_heads("none"),
                  {rope({.theta = 1e6}), window()},
                  softmax_router(),
                  {implied("moe.first_dense_layers", "0"), value({"num_local_experts"}, "moe.experts", 8),
                   value({"num_experts_per_tok"}, "moe.top_k", 2),
                   value({"intermediate_size"}, "moe.expert_size")}}),
          replaced(names, {{"experts/gate_up_proj",
                            {{expert + "w1.weight", Rows::kHalf}, {expert + "w3.weight", Rows::kHalf}}},
                           {"experts/down_proj", {{expert + "w2.weight"}}}})};
}

Family qwen2() {
  return {"qwen2", "Qwen2ForCausalLM",
          joined({llama_like(),
                  grouped_heads("none"),
                  {implied("attention.qkv_bias", "true"), rope(), layer_types()},
                  dense_layers()}),
          llama_names()};
}

Family qwen3() {
  return {"qwen3", "Qwen3ForCausalLM",
          joined({llama_like(),
                  grouped_heads("per_head"),
                  {all_biases(false), rope(), layer_types()},
                  dense_layers()}),
          llama_names()};
}

Family qwen3_moe() {
  return {"qwen3_moe", "Qwen3MoeForCausalLM",
          joined({llama_like(),
                  grouped_heads("per_head"),
                  {all_biases(false), rope(), ignored({"max_window_layers", "sliding_window"}),
                   fixed("use_sliding_window", false)},
                  softmax_router(),
                  {sparse_step(), value({"num_experts", "num_local_experts"}, "moe.experts", 128),
                   value({"num_experts_per_tok"}, "moe.top_k", 8),
                   value({"moe_intermediate_size"}, "moe.expert_size", 768),
                   value({"intermediate_size"}, "ffn.intermediate_size", 6144),
                   value({"norm_topk_prob"}, "moe.router.normalize_weights", false)}}),
          llama_names()};
}

Family dots1() {
  return {"dots1", "Dots1ForCausalLM",
          joined({llama_like(),
                  grouped_heads("per_head"),
                  {all_biases(false), rope(), layer_types()},
                  deepseek_experts(),
                  sigmoid_router()}),
          with_router_bias(llama_names())};
}

Family glm4_moe() {
  const Aspect norm = {
      .read =
          [](ConfigReader& config, OptionTexts& options) {
            options["attention.qk_norm"] = config.flag("use_qk_norm", false) ? "per_head" : "none";
          },
      .write =
          [](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
            config["use_qk_norm"] = options.at("attention.qk_norm") != "none";
          }};
  return {"glm4_moe", "Glm4MoeForCausalLM",
          joined({llama_like(1e-5),
                  {heads(), norm, value({"attention_bias"}, "attention.qkv_bias", false),
                   rope({.fraction = 0.5}), further_tokens()},
                  deepseek_experts(),
                  sigmoid_router()}),
          with_router_bias(llama_names())};
}

TensorNames latent_names() {
  return replaced(llama_names(), {{"attention/q_norm", {{kLayer + "self_attn.q_a_layernorm.weight"}}}});
}

/// topk_method: experts are chosen among all, or in the groups with the best one.
Aspect greedy_groups() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const json method = config.take("topk_method");
                const std::int64_t count = config.integer("n_group", 1);
                const std::int64_t kept = config.integer("topk_group", 1);
                if (method.is_null() || method == "greedy") return;
                if (method != "group_limited_greedy")
                  config.refuse("topk_method", "{} is not known here", method.dump());
                options["moe.router.selection"] = "group_limited";
                options["moe.router.group_score"] = "max";
                options["moe.router.groups"] = text(count);
                options["moe.router.top_groups"] = text(kept);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const experts::RouterOptions& router = model.moe.router;
                const bool by_groups = router.selection == experts::Selection::kGroupLimited;
                config["topk_method"] = by_groups ? "group_limited_greedy" : "greedy";
                config["n_group"] = router.groups;
                config["topk_group"] = router.top_groups;
              }};
}

Family deepseek_v2() {
  return {
      "deepseek_v2", "DeepseekV2ForCausalLM",
      joined({llama_like(),
              {latent_heads(), rope({.interleaved = true, .latent = true}), fixed("attention_bias", false),
               value({"mlp_bias"}, "ffn.bias", false), implied("moe.router.score", "softmax"),
               implied("moe.router.normalize_weights", "false"), fixed("norm_topk_prob", false),
               implied("moe.balancer.kind", "none"), fixed("scoring_func", "softmax"), greedy_groups()},
              deepseek_experts()}),
      latent_names()};
}

Family deepseek_v3() {
  return {"deepseek_v3", "DeepseekV3ForCausalLM",
          joined({llama_like(),
                  {latent_heads(), rope({.interleaved = true, .latent = true}),
                   fixed("attention_bias", false), fixed("rope_interleave", true), further_tokens()},
                  deepseek_experts(),
                  sigmoid_router()}),
          with_router_bias(latent_names())};
}

Family olmo2() {
  return {
      "olmo2", "Olmo2ForCausalLM",
      joined({llama_like(1e-5),
              grouped_heads("full"),
              {implied("norm.placement", "post_residual"), fixed("attention_bias", false), rope()},
              dense_layers()}),
      replaced(llama_names(), {{"attention_post_norm/weight", {{kLayer + "post_attention_layernorm.weight"}}},
                               {"ffn_post_norm/weight", {{kLayer + "post_feedforward_layernorm.weight"}}}})};
}

Family olmoe() {
  return {"olmoe", "OlmoeForCausalLM",
          joined({llama_like(1e-5),
                  grouped_heads("full"),
                  {fixed("attention_bias", false), fixed("clip_qkv", nullptr), rope()},
                  softmax_router(),
                  {implied("moe.first_dense_layers", "0"),
                   value({"num_experts", "num_local_experts"}, "moe.experts", 64),
                   value({"num_experts_per_tok"}, "moe.top_k", 8),
                   value({"intermediate_size"}, "moe.expert_size"),
                   value({"norm_topk_prob"}, "moe.router.normalize_weights", false)}}),
          llama_names()};
}

Family smollm3() {
  return {"smollm3", "SmolLM3ForCausalLM",
          joined({llama_like(1e-6, true),
                  grouped_heads("none"),
                  {all_biases(false), value({"mlp_bias"}, "ffn.bias", false), rope({.theta = 2e6}),
                   no_rope_layers(), ignored({"layer_types", "max_window_layers", "sliding_window"}),
                   fixed("use_sliding_window", false)},
                  dense_layers()}),
          llama_names()};
}

/// Their experts are stacked and turned, gate and up rows of every second channel.
Family gpt_oss() {
  const std::string mlp = kLayer + "mlp.";
  const auto gate_and_up = [&](const std::string& name) {
    return std::vector<NamedPart>{{mlp + "experts." + name, Rows::kHalf, true, 2, 0},
                                  {mlp + "experts." + name, Rows::kHalf, true, 2, 1}};
  };
  return {
      "gpt_oss", "GptOssForCausalLM",
      joined(
          {{bookkeeping(), value({"vocab_size"}, "vocab_size"), value({"hidden_size"}, "hidden_size"),
            value({"num_hidden_layers"}, "layers"), value({"rms_norm_eps"}, "norm.eps", 1e-5),
            value({"tie_word_embeddings"}, "tie_embeddings", false), fixed("hidden_act", "silu"),
            fixed("swiglu_alpha", 1.702), fixed("swiglu_limit", 7.0),
            implied("ffn.activation", "clamped_swiglu"), implied("ffn.bias", "true")},
           grouped_heads("none"),
           {all_biases(true), implied("attention.sinks", "true"), rope({.theta = 150000.0}), alternating(2)},
           softmax_router(),
           {implied("moe.first_dense_layers", "0"), implied("moe.router.softmax_after_topk", "true"),
            implied("moe.router.normalize_weights", "false"), implied("moe.router.linear_bias", "true"),
            value({"num_local_experts"}, "moe.experts", 128), value({"num_experts_per_tok"}, "moe.top_k", 4),
            value({"intermediate_size"}, "moe.expert_size")}}),
      replaced(llama_names(), {{"router/weight", {{mlp + "router.weight"}}},
                               {"router/linear_bias", {{mlp + "router.bias"}}},
                               {"experts/gate_up_proj", gate_and_up("gate_up_proj")},
                               {"experts/gate_up_bias", gate_and_up("gate_up_proj_bias")},
                               {"experts/down_proj", {{mlp + "experts.down_proj", Rows::kAll, true}}},
                               {"experts/down_bias", {{mlp + "experts.down_proj_bias"}}}})};
}

/// What both of Gemma's have.
Aspects gemma_like() {
  return joined(
      {{bookkeeping(), value({"vocab_size"}, "vocab_size"), value({"hidden_size"}, "hidden_size"),
        value({"num_hidden_layers"}, "layers"), value({"rms_norm_eps"}, "norm.eps", 1e-6),
        value({"tie_word_embeddings"}, "tie_embeddings", true), implied("norm.kind", "rms_plus_one"),
        implied("norm.placement", "sandwich"), scaled_embedding(),
        word("hidden_activation", "ffn.activation", kGated, "gelu_pytorch_tanh"), ignored({"hidden_act"}),
        fixed("attention_bias", false), heads(), query_scalar(),
        optional_cap("attn_logit_softcapping", "attention.softcap"),
        optional_cap("final_logit_softcapping", "logits.softcap")},
       dense_layers()});
}

TensorNames gemma_names() {
  return replaced(llama_names(),
                  {{"attention_post_norm/weight", {{kLayer + "post_attention_layernorm.weight"}}},
                   {"ffn_norm/weight", {{kLayer + "pre_feedforward_layernorm.weight"}}},
                   {"ffn_post_norm/weight", {{kLayer + "post_feedforward_layernorm.weight"}}}});
}

Family gemma2() {
  return {"gemma2", "Gemma2ForCausalLM",
          joined({gemma_like(), {implied("attention.qk_norm", "none"), rope(), alternating(2)}}),
          gemma_names()};
}

Family gemma3() {
  return {"gemma3_text", "Gemma3ForCausalLM",
          joined({gemma_like(), {implied("attention.qk_norm", "per_head"), windows_and_far_rope()}}),
          gemma_names()};
}

Family phi3() {
  const std::string attention = kLayer + "self_attn.";
  return {"phi3", "Phi3ForCausalLM",
          joined({llama_like(1e-5),
                  grouped_heads("none"),
                  {rope(), window(), fixed("attention_bias", false),
                   ignored({"embd_pdrop", "resid_pdrop", "original_max_position_embeddings"})},
                  dense_layers()}),
          replaced(llama_names(), {{"attention/qkv_proj", {{attention + "qkv_proj.weight"}}},
                                   {"ffn/gate_up_proj", {{kLayer + "mlp.gate_up_proj.weight"}}}})};
}

Family cohere2() {
  return {
      "cohere2", "Cohere2ForCausalLM",
      joined({{bookkeeping(), value({"vocab_size"}, "vocab_size"), value({"hidden_size"}, "hidden_size"),
               value({"num_hidden_layers"}, "layers"), word("hidden_act", "ffn.activation", kGated, "silu"),
               value({"tie_word_embeddings"}, "tie_embeddings", true),
               value({"logit_scale"}, "logits.scale", 0.0625), implied("norm.placement", "parallel"),
               fixed("attention_bias", false), fixed("use_qk_norm", false),
               ignored({"cache_implementation", "order_of_interleaved_layers", "rotary_pct",
                        "position_embedding_type", "layer_switch", "use_embedding_sharing",
                        "use_gated_activation", "use_parallel_block", "use_parallel_embedding",
                        "_attn_implementation_autoset"})},
              layer_norm("layer_norm_eps", false),
              grouped_heads("none"),
              {rope({.interleaved = true}), windows_and_nope()},
              dense_layers()}),
      llama_names()};
}

Family ernie4_5() {
  return {"ernie4_5", "Ernie4_5ForCausalLM",
          joined({llama_like(1e-5, true),
                  grouped_heads("none"),
                  {rope({.theta = 5e5, .interleaved = true}), fixed("use_bias", false)},
                  dense_layers()}),
          llama_names()};
}

Family minimax_m2() {
  const std::string expert = kLayer + "block_sparse_moe.experts.{e}.";
  return {
      "minimax_m2", "MiniMaxM2ForCausalLM",
      joined(
          {llama_like(),
           grouped_heads("full"),
           {rope({.theta = 5e6, .fraction = 0.5}), rotary_dim(), implied("moe.router.score", "sigmoid"),
            implied("moe.balancer.kind", "sign"), implied("moe.shared_experts", "0"),
            implied("moe.first_dense_layers", "0"), fixed("scoring_func", "sigmoid"),
            fixed("use_qk_norm", true), fixed("qk_norm_type", "per_layer"), fixed("use_routing_bias", true),
            ignored({"shared_intermediate_size"}), value({"num_local_experts"}, "moe.experts"),
            value({"num_experts_per_tok"}, "moe.top_k"), value({"intermediate_size"}, "moe.expert_size")}}),
      with_router_bias(replaced(llama_names("block_sparse_moe"),
                                {{"experts/gate_up_proj",
                                  {{expert + "w1.weight", Rows::kHalf}, {expert + "w3.weight", Rows::kHalf}}},
                                 {"experts/down_proj", {{expert + "w2.weight"}}}}),
                       "block_sparse_moe.")};
}

/// Experts are stacked, and turned; a token's weight is on what its expert gets.
Family llama4() {
  const std::string mlp = kLayer + "feed_forward.";
  const std::string shared = mlp + "shared_expert.";
  return {"llama4_text", "Llama4ForCausalLM",
          joined({llama_like(1e-5),
                  {heads(), all_biases(false), rope({.theta = 5e5, .interleaved = true}), chunks_and_nope(),
                   interleaved_experts(), ignored({"for_llm_compressor"}),
                   implied("moe.router.score", "sigmoid"), implied("moe.router.normalize_weights", "false"),
                   implied("moe.router.weight_on", "input"), implied("moe.shared_experts", "1"),
                   implied("moe.balancer.kind", "none"), value({"num_local_experts"}, "moe.experts", 16),
                   value({"num_experts_per_tok"}, "moe.top_k", 1),
                   value({"intermediate_size"}, "moe.expert_size"),
                   value({"intermediate_size_mlp"}, "ffn.intermediate_size")}}),
          replaced(llama_names("feed_forward"),
                   {{"router/weight", {{mlp + "router.weight"}}},
                    {"experts/gate_up_proj", {{mlp + "experts.gate_up_proj", Rows::kAll, true}}},
                    {"experts/down_proj", {{mlp + "experts.down_proj", Rows::kAll, true}}},
                    {"shared_experts/gate_up_proj",
                     {{shared + "gate_proj.weight", Rows::kHalf}, {shared + "up_proj.weight", Rows::kHalf}}},
                    {"shared_experts/down_proj", {{shared + "down_proj.weight"}}}})};
}

/// What GPT-2 and GPT-J have in common.
Aspects gpt_like(bool tied) {
  return joined({{bookkeeping(), value({"vocab_size"}, "vocab_size"), value({"n_layer"}, "layers"),
                  gpt_heads(), gpt_feed_forward(), dense("n_layer"), implied("attention.qk_norm", "none"),
                  word("activation_function", "ffn.activation", kPlain, "gelu_new"),
                  implied("ffn.bias", "true"), value({"tie_word_embeddings"}, "tie_embeddings", tied),
                  ignored({"attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_activation",
                           "summary_first_dropout", "summary_proj_to_labels", "summary_type",
                           "summary_use_proj", "n_ctx", "reorder_and_upcast_attn", "task_specific_params",
                           "rotary", "scale_attn_weights", "gradient_checkpointing", "tokenizer_class"})},
                 layer_norm("layer_norm_epsilon", true)});
}

TensorNames gpt_names() {
  const std::string layer = "transformer.h.{l}.";
  TensorNames names;
  names.parts = {{"embedding/weight", {{"transformer.wte.weight"}}},
                 {"embedding/positions", {{"transformer.wpe.weight"}}},
                 {"attention_norm/weight", {{layer + "ln_1.weight"}}},
                 {"attention_norm/bias", {{layer + "ln_1.bias"}}},
                 {"ffn_norm/weight", {{layer + "ln_2.weight"}}},
                 {"ffn_norm/bias", {{layer + "ln_2.bias"}}},
                 {"final_norm/weight", {{"transformer.ln_f.weight"}}},
                 {"final_norm/bias", {{"transformer.ln_f.bias"}}},
                 {"head/weight", {{"lm_head.weight"}}},
                 {"head/bias", {{"lm_head.bias"}}}};
  return names;
}

/// Their linear layers are [in, out].
Family gpt2() {
  const std::string layer = "transformer.h.{l}.";
  return {"gpt2", "GPT2LMHeadModel",
          joined({gpt_like(true),
                  {implied("attention.positions", "none"), implied("attention.qkv_bias", "true"),
                   implied("attention.out_bias", "true"), value({"n_positions"}, "embedding.positions", 1024),
                   fixed("scale_attn_by_inverse_layer_idx", false), fixed("add_cross_attention", false)}}),
          replaced(gpt_names(), {{"attention/qkv_proj", {{layer + "attn.c_attn.weight", Rows::kAll, true}}},
                                 {"attention/qkv_bias", {{layer + "attn.c_attn.bias"}}},
                                 {"attention/out_proj", {{layer + "attn.c_proj.weight", Rows::kAll, true}}},
                                 {"attention/out_bias", {{layer + "attn.c_proj.bias"}}},
                                 {"ffn/up_proj", {{layer + "mlp.c_fc.weight", Rows::kAll, true}}},
                                 {"ffn/up_bias", {{layer + "mlp.c_fc.bias"}}},
                                 {"ffn/down_proj", {{layer + "mlp.c_proj.weight", Rows::kAll, true}}},
                                 {"ffn/down_bias", {{layer + "mlp.c_proj.bias"}}}}),
          "n_positions"};
}

Family gptj() {
  const std::string layer = "transformer.h.{l}.";
  return {"gptj", "GPTJForCausalLM",
          joined({gpt_like(false),
                  {implied("norm.placement", "parallel"), rotary_dim(),
                   implied("attention.rope.pairing", "interleaved"), implied("logits.bias", "true")}}),
          replaced(gpt_names(), {{"attention/qkv_proj",
                                  {{layer + "attn.q_proj.weight", Rows::kQuery},
                                   {layer + "attn.k_proj.weight", Rows::kKeyValue},
                                   {layer + "attn.v_proj.weight", Rows::kKeyValue}}},
                                 {"attention/out_proj", {{layer + "attn.out_proj.weight"}}},
                                 {"ffn/up_proj", {{layer + "mlp.fc_in.weight"}}},
                                 {"ffn/up_bias", {{layer + "mlp.fc_in.bias"}}},
                                 {"ffn/down_proj", {{layer + "mlp.fc_out.weight"}}},
                                 {"ffn/down_bias", {{layer + "mlp.fc_out.bias"}}}}),
          "n_positions"};
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kAll{
      llama(),   mistral(), mixtral(),  qwen2(),      qwen3(),       qwen3_moe(),   olmo2(),   olmoe(),
      gpt_oss(), dots1(),   glm4_moe(), minimax_m2(), deepseek_v2(), deepseek_v3(), smollm3(), gemma2(),
      gemma3(),  phi3(),    cohere2(),  ernie4_5(),   llama4(),      gpt2(),        gptj()};
  return kAll;
}

const Family& family_named(std::string_view model_type) {
  std::vector<std::string_view> known;
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
    known.push_back(family.model_type);
  }
  throw Error(ErrorCode::kConfig, "a model of type '{}' is not known; known are {}", model_type,
              fmt::join(known, ", "));
}

}  // namespace troupe::conversion
