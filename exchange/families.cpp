#include <fmt/ranges.h>

#include "base/error.h"
#include "exchange/family.h"

namespace troupe::exchange {
namespace {

const std::map<std::string, std::string> kGated{
    {"silu", "swiglu"}, {"gelu_pytorch_tanh", "geglu_tanh"}, {"gelu", "geglu"}, {"relu", "reglu"}};

/// What all have that follow Llama.
Aspects llama_like(double eps = 1e-6, bool tied = false) {
  return {bookkeeping(),
          value({"vocab_size"}, "vocab_size"),
          value({"hidden_size"}, "hidden_size"),
          value({"num_hidden_layers"}, "layers"),
          heads(),
          value({"rms_norm_eps"}, "norm.eps", eps),
          word("hidden_act", "ffn.activation", kGated, "silu"),
          value({"tie_word_embeddings"}, "tie_embeddings", tied)};
}

Aspects dense_layers() { return {dense(), value({"intermediate_size"}, "ffn.intermediate_size")}; }

Aspects qk_norm(bool has) { return {implied("attention.qk_norm", has ? "per_head" : "none")}; }

Aspects no_bias() { return {fixed("attention_bias", false), fixed("mlp_bias", false)}; }

/// Softmax over all experts, none shared, and none for selection only.
Aspects softmax_router() {
  return {implied("moe.router.score", "softmax"), implied("moe.shared_experts", "0"),
          implied("moe.balancer.kind", "none")};
}

/// Sigmoid scores with a bias for selection, and shared experts: DeepSeek-V3's.
Aspects sigmoid_router() {
  return {implied("moe.router.score", "sigmoid"),
          implied("moe.balancer.kind", "sign"),
          value({"n_routed_experts", "num_local_experts"}, "moe.experts"),
          value({"n_shared_experts"}, "moe.shared_experts"),
          value({"num_experts_per_tok"}, "moe.top_k"),
          value({"moe_intermediate_size"}, "moe.expert_size"),
          value({"intermediate_size"}, "ffn.intermediate_size"),
          value({"first_k_dense_replace"}, "moe.first_dense_layers"),
          value({"norm_topk_prob"}, "moe.router.normalize_weights", true),
          value({"routed_scaling_factor"}, "moe.router.scale", 1.0),
          fixed("scoring_func", "sigmoid"),
          fixed("topk_method", "noaux_tc"),
          fixed("moe_layer_freq", 1),
          groups("top2_sum")};
}

/// Layers of one kind only, without a window.
Aspects no_window() {
  return {ignored({"max_window_layers"}), fixed("use_sliding_window", false), ignored({"sliding_window"})};
}

TensorNames with_router_bias(TensorNames names) {
  names.router_bias = "model.layers.{l}.mlp.gate.e_score_correction_bias";
  return names;
}

TensorNames mixtral_names() {
  TensorNames names = llama_names("block_sparse_moe");
  const std::string expert = "model.layers.{l}.block_sparse_moe.experts.{e}.";
  names.parts["experts/gate_up_proj"] = {{expert + "w1.weight", Rows::kHalf},
                                         {expert + "w3.weight", Rows::kHalf}};
  names.parts["experts/down_proj"] = {{expert + "w2.weight"}};
  return names;
}

Family llama() {
  return {"llama", "LlamaForCausalLM",
          joined({llama_like(), {rope()}, qk_norm(false), no_bias(), dense_layers()}), llama_names()};
}

Family mistral() {
  return {"mistral", "MistralForCausalLM",
          joined({llama_like(), {rope(), fixed("sliding_window", nullptr)}, qk_norm(false), dense_layers()}),
          llama_names()};
}

Family mixtral() {
  return {"mixtral", "MixtralForCausalLM",
          joined({llama_like(1e-5),
                  {rope(1e6), fixed("sliding_window", nullptr)},
                  qk_norm(false),
                  softmax_router(),
                  {implied("moe.first_dense_layers", "0"), value({"num_local_experts"}, "moe.experts", 8),
                   value({"num_experts_per_tok"}, "moe.top_k", 2),
                   value({"intermediate_size"}, "moe.expert_size"),
                   implied("moe.router.normalize_weights", "true")}}),
          mixtral_names()};
}

Family qwen3() {
  return {"qwen3", "Qwen3ForCausalLM",
          joined({llama_like(),
                  {rope()},
                  qk_norm(true),
                  {fixed("attention_bias", false)},
                  no_window(),
                  {ignored({"layer_types"})},
                  dense_layers()}),
          llama_names()};
}

Family qwen3_moe() {
  return {"qwen3_moe", "Qwen3MoeForCausalLM",
          joined({llama_like(),
                  {rope()},
                  qk_norm(true),
                  {fixed("attention_bias", false)},
                  no_window(),
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
                  {rope()},
                  qk_norm(true),
                  no_bias(),
                  no_window(),
                  {ignored({"layer_types"})},
                  sigmoid_router()}),
          with_router_bias(llama_names())};
}

Family glm4_moe() {
  const Aspect norm = {
      .read =
          [](ConfigReader& config, OptionTexts& options) {
            const json given = config.take_any({"use_qk_norm"});
            options["attention.qk_norm"] = given.is_boolean() && given.get<bool>() ? "per_head" : "none";
          },
      .write =
          [](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
            config["use_qk_norm"] = options.at("attention.qk_norm") != "none";
          }};
  return {"glm4_moe", "Glm4MoeForCausalLM",
          joined({llama_like(1e-5),
                  {rope(10000.0, 0.5), norm, fixed("attention_bias", false),
                   ignored({"num_nextn_predict_layers"})},
                  sigmoid_router()}),
          with_router_bias(llama_names())};
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> kAll{llama(),     mistral(), mixtral(), qwen3(),
                                        qwen3_moe(), dots1(),   glm4_moe()};
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

}  // namespace troupe::exchange
