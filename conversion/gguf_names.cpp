#include "conversion/gguf_names.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace troupe::conversion {
namespace {

const std::string kBlock = "blk.{l}.";

/// Names of llama.cpp's gguf-py (constants.py), experts stacked.
///   query, key: rows of the two, which architecture llama has in pairs
TensorNames block_names(Rows query, Rows key) {
  TensorNames names;
  names.parts = {
      {"embedding/weight", {{"token_embd.weight"}}},
      {"attention_norm/weight", {{kBlock + "attn_norm.weight"}}},
      {"attention/qkv_proj",
       {{kBlock + "attn_q.weight", query},
        {kBlock + "attn_k.weight", key},
        {kBlock + "attn_v.weight", Rows::kKeyValue}}},
      {"attention/qkv_bias",
       {{kBlock + "attn_q.bias", query},
        {kBlock + "attn_k.bias", key},
        {kBlock + "attn_v.bias", Rows::kKeyValue}}},
      {"attention/out_proj", {{kBlock + "attn_output.weight"}}},
      {"attention/q_norm", {{kBlock + "attn_q_norm.weight"}}},
      {"attention/k_norm", {{kBlock + "attn_k_norm.weight"}}},
      {"ffn_norm/weight", {{kBlock + "ffn_norm.weight"}}},
      {"ffn/gate_up_proj",
       {{kBlock + "ffn_gate.weight", Rows::kHalf}, {kBlock + "ffn_up.weight", Rows::kHalf}}},
      {"ffn/down_proj", {{kBlock + "ffn_down.weight"}}},
      {"router/weight", {{kBlock + "ffn_gate_inp.weight"}}},
      {"experts/gate_up_proj",
       {{kBlock + "ffn_gate_exps.weight", Rows::kHalf}, {kBlock + "ffn_up_exps.weight", Rows::kHalf}}},
      {"experts/down_proj", {{kBlock + "ffn_down_exps.weight"}}},
      {"final_norm/weight", {{"output_norm.weight"}}},
      {"head/weight", {{"output.weight"}}},
  };
  return names;
}

/// And a bias that experts are chosen with.
TensorNames with_shared_experts(TensorNames names) {
  names.parts["shared_experts/gate_up_proj"] = {{kBlock + "ffn_gate_shexp.weight", Rows::kHalf},
                                                {kBlock + "ffn_up_shexp.weight", Rows::kHalf}};
  names.parts["shared_experts/down_proj"] = {{kBlock + "ffn_down_shexp.weight"}};
  names.router_bias = kBlock + "exp_probs_b.bias";
  return names;
}

std::vector<GgufArchitecture> make_architectures() {
  std::vector<GgufArchitecture> all;
  const auto add = [&](std::string model_type, std::string name, const TensorNames& names, bool has_experts,
                       std::optional<bool> normalizes = true) {
    GgufArchitecture& one = all.emplace_back();
    one.model_type = std::move(model_type);
    one.family.model_type = std::move(name);
    one.family.names = names;
    one.has_experts = has_experts;
    one.normalizes = normalizes;
  };
  const TensorNames pairs = block_names(Rows::kQueryPairs, Rows::kKeyPairs);
  const TensorNames halves = block_names(Rows::kQuery, Rows::kKeyValue);
  add("llama", "llama", pairs, false);
  add("mistral", "llama", pairs, false);
  add("mixtral", "llama", pairs, true);
  add("qwen2", "qwen2", halves, false);
  add("qwen3", "qwen3", halves, false);
  add("qwen3_moe", "qwen3moe", halves, true);
  add("olmoe", "olmoe", halves, true, false);
  all.back().needs_head = true;
  add("dots1", "dots1", with_shared_experts(halves), true, std::nullopt);
  all.back().dense_first = all.back().needs_head = all.back().needs_all_keys = true;
  return all;
}

}  // namespace

const GgufArchitecture& gguf_architecture(std::string_view model_type) {
  static const std::vector<GgufArchitecture> all = make_architectures();
  const auto found = std::ranges::find(all, model_type, &GgufArchitecture::model_type);
  if (found != all.end()) return *found;
  std::vector<std::string> known;
  for (const GgufArchitecture& one : all) known.push_back(one.model_type);
  throw Error(
      ErrorCode::kConfig,
      "a model of type '{}' is not written as GGUF; those of type {} are. `--format hf` writes it for "
      "llama.cpp's own converter",
      model_type, fmt::join(known, ", "));
}

}  // namespace troupe::conversion
