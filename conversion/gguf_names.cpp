#include "conversion/gguf_names.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace troupe::conversion {
namespace {

const std::string kBlock = "blk.{l}.";

NamedPart part(const std::string& name, Rows rows = Rows::kAll) { return {kBlock + name, rows}; }

}  // namespace

TensorNames gguf_names(GgufRotation rotation) {
  const bool pairs = rotation == GgufRotation::kPairs;
  const Rows query = pairs ? Rows::kQueryPairs : Rows::kQuery;
  const Rows key = pairs ? Rows::kKeyPairs : Rows::kKeyValue;
  TensorNames names;
  names.parts = {
      {"embedding/weight", {{"token_embd.weight"}}},
      {"attention_norm/weight", {part("attn_norm.weight")}},
      {"attention/qkv_proj",
       {part("attn_q.weight", query), part("attn_k.weight", key), part("attn_v.weight", Rows::kKeyValue)}},
      {"attention/qkv_bias",
       {part("attn_q.bias", query), part("attn_k.bias", key), part("attn_v.bias", Rows::kKeyValue)}},
      {"attention/out_proj", {part("attn_output.weight")}},
      {"attention/q_norm", {part("attn_q_norm.weight")}},
      {"attention/k_norm", {part("attn_k_norm.weight")}},
      {"ffn_norm/weight", {part("ffn_norm.weight")}},
      {"ffn/gate_up_proj", {part("ffn_gate.weight", Rows::kHalf), part("ffn_up.weight", Rows::kHalf)}},
      {"ffn/down_proj", {part("ffn_down.weight")}},
      {"router/weight", {part("ffn_gate_inp.weight")}},
      {"experts/gate_up_proj",
       {part("ffn_gate_exps.weight", Rows::kHalf), part("ffn_up_exps.weight", Rows::kHalf)}},
      {"experts/down_proj", {part("ffn_down_exps.weight")}},
      {"final_norm/weight", {{"output_norm.weight"}}},
      {"head/weight", {{"output.weight"}}},
  };
  return names;
}

TensorNames with_gguf_biases(TensorNames names) {
  return replaced(std::move(names), {{"attention/out_bias", {part("attn_output.bias")}},
                                     {"ffn/gate_up_bias",
                                      {part("ffn_gate.bias", Rows::kHalf), part("ffn_up.bias", Rows::kHalf)}},
                                     {"ffn/down_bias", {part("ffn_down.bias")}}});
}

TensorNames with_gguf_router_bias(TensorNames names, bool shared_experts) {
  names.router_bias = kBlock + "exp_probs_b.bias";
  if (!shared_experts) return names;
  return replaced(std::move(names),
                  {{"shared_experts/gate_up_proj",
                    {part("ffn_gate_shexp.weight", Rows::kHalf), part("ffn_up_shexp.weight", Rows::kHalf)}},
                   {"shared_experts/down_proj", {part("ffn_down_shexp.weight")}}});
}

TensorNames with_gguf_post_attention_norm(TensorNames names) {
  return replaced(std::move(names), {{"ffn_norm/weight", {part("post_attention_norm.weight")}}});
}

TensorNames with_gguf_post_norms(TensorNames names) {
  return replaced(std::move(names), {{"attention_post_norm/weight", {part("post_attention_norm.weight")}},
                                     {"ffn_post_norm/weight", {part("post_ffw_norm.weight")}}});
}

TensorNames with_gguf_whole_norms(TensorNames names) {
  for (const char* norm :
       {"attention_norm/weight", "attention_post_norm/weight", "ffn_norm/weight", "ffn_post_norm/weight",
        "final_norm/weight", "attention/q_norm", "attention/k_norm"}) {
    for (NamedPart& part : names.parts.at(norm)) part.added = 1.0F;
  }
  return names;
}

TensorNames with_gguf_sinks(TensorNames names) {
  return replaced(std::move(names),
                  {{"attention/sinks", {part("attn_sinks.weight")}},
                   {"attention/out_bias", {part("attn_output.bias")}},
                   {"router/linear_bias", {part("ffn_gate_inp.bias")}},
                   {"experts/gate_up_bias",
                    {part("ffn_gate_exps.bias", Rows::kHalf), part("ffn_up_exps.bias", Rows::kHalf)}},
                   {"experts/down_bias", {part("ffn_down_exps.bias")}}});
}

TensorNames with_gguf_latents(TensorNames names) {
  return replaced(std::move(names),
                  {{"attention/q_proj", {part("attn_q.weight", Rows::kLatentQuery)}},
                   {"attention/q_down_proj", {part("attn_q_a.weight")}},
                   {"attention/q_norm", {part("attn_q_a_norm.weight")}},
                   {"attention/q_up_proj", {part("attn_q_b.weight", Rows::kLatentQuery)}},
                   {"attention/kv_down_proj", {part("attn_kv_a_mqa.weight", Rows::kLatentDown)}},
                   {"attention/kv_norm", {part("attn_kv_a_norm.weight")}},
                   {"attention/kv_up_proj", {part("attn_kv_b.weight", Rows::kLatentUp)}}});
}

TensorNames with_gguf_joined_projections(TensorNames names) {
  return replaced(std::move(names), {{"attention/qkv_proj", {part("attn_qkv.weight")}},
                                     {"ffn/gate_up_proj", {part("ffn_up.weight")}}});
}

TensorNames gpt2_gguf_names() {
  return replaced(gguf_names(GgufRotation::kAsHere), {{"embedding/positions", {{"position_embd.weight"}}},
                                                      {"attention_norm/bias", {part("attn_norm.bias")}},
                                                      {"ffn_norm/bias", {part("ffn_norm.bias")}},
                                                      {"final_norm/bias", {{"output_norm.bias"}}},
                                                      {"attention/qkv_proj", {part("attn_qkv.weight")}},
                                                      {"attention/qkv_bias", {part("attn_qkv.bias")}},
                                                      {"attention/out_bias", {part("attn_output.bias")}},
                                                      {"ffn/up_proj", {part("ffn_up.weight")}},
                                                      {"ffn/up_bias", {part("ffn_up.bias")}},
                                                      {"ffn/down_bias", {part("ffn_down.bias")}}});
}

}  // namespace troupe::conversion
