#include "conversion/tensor_names.h"

namespace troupe::conversion {
namespace {

const std::string kLayer = "model.layers.{l}.";

/// gate, up and down of one feed-forward, weights and biases.
void add_feed_forward(TensorNames& names, const std::string& ours, const std::string& theirs) {
  for (const auto& [kind, suffix] : {std::pair{"proj", ".weight"}, std::pair{"bias", ".bias"}}) {
    names.parts[ours + "gate_up_" + kind] = {{theirs + "gate_proj" + suffix, Rows::kHalf},
                                             {theirs + "up_proj" + suffix, Rows::kHalf}};
    names.parts[ours + "up_" + kind] = {{theirs + "up_proj" + suffix}};
    names.parts[ours + "down_" + kind] = {{theirs + "down_proj" + suffix}};
  }
}

}  // namespace

TensorNames llama_names(const std::string& mlp) {
  const std::string attention = kLayer + "self_attn.";
  TensorNames names;
  names.parts = {
      {"embedding/weight", {{"model.embed_tokens.weight"}}},
      {"attention_norm/weight", {{kLayer + "input_layernorm.weight"}}},
      {"attention/qkv_proj",
       {{attention + "q_proj.weight", Rows::kQuery},
        {attention + "k_proj.weight", Rows::kKeyValue},
        {attention + "v_proj.weight", Rows::kKeyValue}}},
      {"attention/qkv_bias",
       {{attention + "q_proj.bias", Rows::kQuery},
        {attention + "k_proj.bias", Rows::kKeyValue},
        {attention + "v_proj.bias", Rows::kKeyValue}}},
      {"attention/out_proj", {{attention + "o_proj.weight"}}},
      {"attention/out_bias", {{attention + "o_proj.bias"}}},
      {"attention/q_norm", {{attention + "q_norm.weight"}}},
      {"attention/k_norm", {{attention + "k_norm.weight"}}},
      {"attention/sinks", {{attention + "sinks"}}},
      {"attention/q_proj", {{attention + "q_proj.weight", Rows::kLatentQuery}}},
      {"attention/q_down_proj", {{attention + "q_a_proj.weight"}}},
      {"attention/q_up_proj", {{attention + "q_b_proj.weight", Rows::kLatentQuery}}},
      {"attention/kv_down_proj", {{attention + "kv_a_proj_with_mqa.weight", Rows::kLatentDown}}},
      {"attention/kv_norm", {{attention + "kv_a_layernorm.weight"}}},
      {"attention/kv_up_proj", {{attention + "kv_b_proj.weight", Rows::kLatentUp}}},
      {"ffn_norm/weight", {{kLayer + "post_attention_layernorm.weight"}}},
      {"router/weight", {{kLayer + mlp + ".gate.weight"}}},
      {"final_norm/weight", {{"model.norm.weight"}}},
      {"head/weight", {{"lm_head.weight"}}},
      {"embedding_norm/weight", {{kLayer + "enorm.weight"}}},
      {"hidden_norm/weight", {{kLayer + "hnorm.weight"}}},
      {"eh_proj", {{kLayer + "eh_proj.weight"}}},
      {"head_norm/weight", {{kLayer + "shared_head.norm.weight"}}},
  };
  names.repeated = {{"embedding/weight", kLayer + "embed_tokens.weight"},
                    {"head/weight", kLayer + "shared_head.head.weight"}};
  add_feed_forward(names, "ffn/", kLayer + mlp + ".");
  add_feed_forward(names, "experts/", kLayer + mlp + ".experts.{e}.");
  add_feed_forward(names, "shared_experts/", kLayer + mlp + ".shared_experts.");
  return names;
}

TensorNames replaced(TensorNames names, const std::map<std::string, std::vector<NamedPart>>& by) {
  for (const auto& [ours, parts] : by) names.parts[ours] = parts;
  return names;
}

}  // namespace troupe::conversion
