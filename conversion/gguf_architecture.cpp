#include "conversion/gguf_architecture.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "conversion/gguf_names.h"

namespace troupe::conversion {
namespace {

using Facts = std::vector<GgufFact>;

constexpr const char* kSize = "feed_forward_length";
constexpr const char* kExpertSize = "expert_feed_forward_length";

TensorNames as_here() { return gguf_names(GgufRotation::kAsHere); }
TensorNames in_pairs() { return gguf_names(GgufRotation::kPairs); }

enum class Head : bool { kMayBeTied, kNeeded };

GgufArchitecture make(std::string model_type, std::string name, TensorNames names, Facts facts,
                      Head head = Head::kMayBeTied) {
  GgufArchitecture one;
  one.model_type = std::move(model_type);
  one.family.model_type = std::move(name);
  one.family.names = std::move(names);
  one.facts = {gguf_sizes()};
  std::ranges::move(facts, std::back_inserter(one.facts));
  one.needs_head = head == Head::kNeeded;
  return one;
}

/// Where every query sees all before it.
Facts plain_attention(Facts more, GgufFact scaling = gguf_scaling()) {
  Facts facts{gguf_heads(), gguf_no_windows(), std::move(scaling)};
  std::ranges::move(more, std::back_inserter(facts));
  return facts;
}

Facts expert_layers(const std::vector<std::string>& size_keys, bool normalizes) {
  return {gguf_experts(size_keys), gguf_only_experts(), gguf_normalizes(normalizes), gguf_no_groups()};
}

/// Some layers without experts first, then layers with shared ones, of sizes that files say.
Facts deepseek_experts() {
  return {gguf_dense(), gguf_experts({kExpertSize}), gguf_dense_first(), gguf_said_weights(), gguf_groups()};
}

Facts joined(Facts facts, Facts more) {
  std::ranges::move(more, std::back_inserter(facts));
  return facts;
}

void add_dense(std::vector<GgufArchitecture>& all) {
  const Facts llama = plain_attention({gguf_whole_rotation(), gguf_dense()});
  const Facts llama3 = plain_attention({gguf_whole_rotation(), gguf_dense()}, gguf_any_scaling());
  all.push_back(make("llama", "llama", with_gguf_biases(in_pairs()), llama3));
  all.push_back(make("mistral", "llama", in_pairs(), llama3));
  all.push_back(make("qwen2", "qwen2", as_here(), plain_attention({gguf_dense()})));
  all.push_back(make("qwen3", "qwen3", as_here(), plain_attention({gguf_dense()})));
  all.push_back(make("smollm3", "smollm3", with_gguf_biases(in_pairs()), joined(llama, {gguf_nope(4)})));
  all.push_back(make("ernie4_5", "ernie4_5", as_here(), llama));
  all.push_back(make("olmo2", "olmo2", with_gguf_post_norms(as_here()),
                     joined(llama, {gguf_usual_head_dim()}), Head::kNeeded));
  all.push_back(make("phi3", "phi3", with_gguf_joined_projections(as_here()),
                     plain_attention({gguf_usual_head_dim(), gguf_dense()})));
  all.push_back(
      make("gpt2", "gpt2", gpt2_gguf_names(), {gguf_heads(), gguf_learned_positions(), gguf_dense()}));
  all.push_back(make("cohere2", "cohere2", as_here(),
                     {gguf_heads(), gguf_usual_head_dim(), gguf_whole_rotation(), gguf_windows(4),
                      gguf_nope(4), gguf_no_scaling(), gguf_dense(), gguf_logit_scale(), gguf_tied()}));
  const TensorNames gemma = with_gguf_whole_norms(with_gguf_post_norms(as_here()));
  all.push_back(make("gemma2", "gemma2", gemma,
                     {gguf_heads(), gguf_windows(2), gguf_no_scaling(), gguf_query_scale(46), gguf_caps(),
                      gguf_dense(), gguf_tied()}));
  all.push_back(make("gemma3_text", "gemma3", gemma,
                     {gguf_heads(), gguf_windows(6), gguf_near_theta(), gguf_query_scale(62), gguf_no_caps(),
                      gguf_dense(), gguf_tied()}));
}

void add_with_experts(std::vector<GgufArchitecture>& all) {
  all.push_back(make("mixtral", "llama", in_pairs(),
                     plain_attention(joined({gguf_whole_rotation()}, expert_layers({kSize}, true)))));
  all.push_back(make("qwen3_moe", "qwen3moe", as_here(),
                     plain_attention(joined({gguf_dense()}, expert_layers({kExpertSize}, true)))));
  all.push_back(
      make("olmoe", "olmoe", as_here(),
           plain_attention(joined({gguf_all_keys(), gguf_usual_head_dim()}, expert_layers({kSize}, false))),
           Head::kNeeded));
  all.push_back(
      make("minimax_m2", "minimax-m2", with_gguf_router_bias(as_here(), false),
           plain_attention(joined({gguf_said_weights()}, expert_layers({kSize, kExpertSize}, true))),
           Head::kNeeded));
  all.push_back(make("dots1", "dots1", with_gguf_router_bias(as_here(), true),
                     plain_attention(joined({gguf_all_keys()}, deepseek_experts())), Head::kNeeded));
  all.push_back(make("glm4_moe", "glm4moe",
                     with_gguf_post_attention_norm(with_gguf_router_bias(as_here(), true)),
                     plain_attention(deepseek_experts())));
  all.push_back(make("gpt_oss", "gpt-oss", with_gguf_sinks(with_gguf_post_attention_norm(as_here())),
                     joined({gguf_heads(), gguf_windows(2), gguf_scaling()},
                            {gguf_experts({kSize, kExpertSize}), gguf_only_experts(), gguf_no_groups()}),
                     Head::kNeeded));
  for (const char* type : {"deepseek_v2", "deepseek_v3"}) {
    const bool biased = std::string_view(type) == "deepseek_v3";
    TensorNames names = with_gguf_router_bias(with_gguf_latents(as_here()), true);
    if (!biased) names.router_bias.clear();
    all.push_back(
        make(type, "deepseek2", std::move(names),
             joined({gguf_latent_heads(), gguf_no_windows(), gguf_latent_scaling()}, deepseek_experts()),
             Head::kNeeded));
  }
}

std::vector<GgufArchitecture> make_architectures() {
  std::vector<GgufArchitecture> all;
  add_dense(all);
  add_with_experts(all);
  return all;
}

}  // namespace

model::ModelOptions gguf_model(model::ModelOptions options) {
  options.mtp = {};
  return options;
}

const GgufArchitecture& gguf_architecture(std::string_view model_type) {
  static const std::vector<GgufArchitecture> all = make_architectures();
  const auto found = std::ranges::find(all, model_type, &GgufArchitecture::model_type);
  if (found != all.end()) return *found;
  std::vector<std::string> known;
  known.reserve(all.size());
  for (const GgufArchitecture& one : all) known.push_back(one.model_type);
  throw Error(
      ErrorCode::kConfig,
      "a model of type '{}' is not written as GGUF; those of type {} are. `--format hf` writes it for "
      "llama.cpp's own converter",
      model_type, fmt::join(known, ", "));
}

}  // namespace troupe::conversion
