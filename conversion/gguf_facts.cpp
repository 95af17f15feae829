#include "conversion/gguf_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "model/layer_spec.h"
#include "model/options.h"
#include "model/rope_frequencies.h"
#include "model/widths.h"

namespace troupe::conversion {
namespace {

using model::AttentionOptions;
using model::RopeScalingKind;

/// llama.cpp's numbers of them.
constexpr std::uint32_t kSoftmax = 1;
constexpr std::uint32_t kSigmoid = 2;

/// Borders and strength of yarn are not said: they are the usual ones.
void require_usual_yarn(const GgufFacts& facts, const model::RopeScalingOptions& scaling) {
  facts.require(scaling.truncate, "model.attention.rope.scaling.truncate: false");
  facts.require(scaling.beta_fast == 32.0 && scaling.beta_slow == 1.0,
                "model.attention.rope.scaling.beta_fast or beta_slow");
}

void say_yarn(GgufFacts& facts, const model::RopeScalingOptions& scaling) {
  facts.say("rope.scaling.type", std::string("yarn"));
  facts.say_real("rope.scaling.factor", scaling.factor);
  facts.say_number("rope.scaling.original_context_length", scaling.original_length);
}

void say_linear(GgufFacts& facts, double factor) {
  facts.say("rope.scaling.type", std::string("linear"));
  facts.say_real("rope.scaling.factor", factor);
}

bool is_last_of(std::size_t layer, std::int64_t period) {
  return static_cast<std::int64_t>(layer) % period == period - 1;
}

}  // namespace

GgufFacts::GgufFacts(std::string architecture, const model::ModelOptions& options, std::int64_t vocab_size,
                     std::int64_t context)
    : architecture_(std::move(architecture)),
      options_(options),
      mixers_(model::layer_mixers(options)),
      vocab_size_(vocab_size),
      context_(context),
      metadata_{{"general.architecture", architecture_}} {}

const AttentionOptions& GgufFacts::rotated() const {
  const auto found = std::ranges::find(mixers_, model::Positions::kRope, &AttentionOptions::positions);
  return found == mixers_.end() ? mixers_.front() : *found;
}

void GgufFacts::say(const std::string& key, storage::gguf::Value value) {
  metadata_.emplace_back(architecture_ + "." + key, std::move(value));
}

void GgufFacts::say_number(const std::string& key, std::int64_t value) {
  TROUPE_CHECK(value >= 0 && value <= std::numeric_limits<std::uint32_t>::max(), "{}: {}", key, value);
  say(key, static_cast<std::uint32_t>(value));
}

void GgufFacts::say_real(const std::string& key, double value) { say(key, static_cast<float>(value)); }

void GgufFacts::require(bool holds, std::string_view what) const {
  if (holds) return;
  throw Error(ErrorCode::kConfig, "GGUF's architecture {} cannot say {}; `--format hf` may", architecture_,
              what);
}

GgufFact gguf_sizes() {
  return [](GgufFacts& facts) {
    const model::ModelOptions& options = facts.options();
    facts.say_number("vocab_size", facts.vocab_size());
    facts.say_number("context_length", facts.context());
    facts.say_number("embedding_length", options.hidden_size);
    facts.say_number("block_count", options.layers);
    facts.say_number("attention.head_count", facts.mixers().front().heads);
    const bool layer_norm = options.norm.kind == layers::NormKind::kLayerNorm;
    facts.say_real(layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon",
                   options.norm.eps);
  };
}

GgufFact gguf_heads() {
  return [](GgufFacts& facts) {
    const AttentionOptions& mixer = facts.rotated();
    facts.say_number("attention.head_count_kv", mixer.kv_heads);
    facts.say_number("attention.key_length", mixer.head_dim);
    facts.say_number("attention.value_length", mixer.head_dim);
    facts.say_number("rope.dimension_count",
                     std::llround(static_cast<double>(mixer.head_dim) * mixer.rope.fraction));
    const auto far = std::ranges::find(facts.mixers(), 0, &AttentionOptions::window);
    const bool has_far = far != facts.mixers().end() && far->positions == model::Positions::kRope;
    facts.say_real("rope.freq_base", (has_far ? *far : mixer).rope.theta);
  };
}

GgufFact gguf_latent_heads() {
  return [](GgufFacts& facts) {
    const AttentionOptions& mixer = facts.mixers().front();
    facts.say_number("attention.head_count_kv", mixer.heads);
    facts.say_number("attention.key_length", mixer.latent.rope_dim + mixer.latent.nope_dim);
    facts.say_number("attention.value_length", mixer.latent.value_dim);
    facts.say_number("attention.kv_lora_rank", mixer.latent.kv_rank);
    if (mixer.latent.query_rank > 0) facts.say_number("attention.q_lora_rank", mixer.latent.query_rank);
    facts.say_number("rope.dimension_count", mixer.latent.rope_dim);
    facts.say_real("rope.freq_base", mixer.rope.theta);
  };
}

GgufFact gguf_usual_head_dim() {
  return [](GgufFacts& facts) {
    const AttentionOptions& mixer = facts.mixers().front();
    facts.require(mixer.heads * mixer.head_dim == facts.options().hidden_size,
                  "model.attention.head_dim other than hidden_size / heads");
  };
}

GgufFact gguf_all_keys() {
  return [](GgufFacts& facts) {
    for (const AttentionOptions& mixer : facts.mixers())
      facts.require(mixer.kv_heads == mixer.heads, "fewer model.attention.kv_heads than heads");
  };
}

GgufFact gguf_whole_rotation() {
  return [](GgufFacts& facts) {
    facts.require(facts.rotated().rope.fraction == 1.0, "model.attention.rope.fraction below 1");
  };
}

GgufFact gguf_no_scaling() {
  return [](GgufFacts& facts) {
    for (const AttentionOptions& mixer : facts.mixers())
      facts.require(mixer.rope.scaling.kind == RopeScalingKind::kNone, "model.attention.rope.scaling");
  };
}

GgufFact gguf_scaling() {
  return [](GgufFacts& facts) {
    const model::RopeScalingOptions scaling = facts.rotated().rope.scaling;
    facts.require(scaling.kind != RopeScalingKind::kLlama3, "model.attention.rope.scaling.kind: llama3");
    if (scaling.kind == RopeScalingKind::kLinear) say_linear(facts, scaling.factor);
    if (scaling.kind != RopeScalingKind::kYarn) return;
    require_usual_yarn(facts, scaling);
    facts.require(scaling.magnitude == 0.0, "model.attention.rope.scaling.magnitude");
    say_yarn(facts, scaling);
  };
}

GgufFact gguf_any_scaling() {
  return [](GgufFacts& facts) {
    const AttentionOptions& mixer = facts.rotated();
    if (mixer.rope.scaling.kind != RopeScalingKind::kLlama3) return gguf_scaling()(facts);
    const std::int64_t channels = model::rotated_channels(mixer);
    model::RopeOptions plain = mixer.rope;
    plain.scaling = {};
    const std::vector<double> from = model::rope_frequencies(plain, channels).values;
    const std::vector<double> to = model::rope_frequencies(mixer.rope, channels).values;
    std::vector<float> divisors;
    for (std::size_t i = 0; i < from.size(); ++i) divisors.push_back(static_cast<float>(from[i] / to[i]));
    facts.divide_frequencies(std::move(divisors));
  };
}

/// llama.cpp multiplies scores by (1 + multiplier ln factor)², and queries and keys by 1.
GgufFact gguf_latent_scaling() {
  return [](GgufFacts& facts) {
    const AttentionOptions& mixer = facts.mixers().front();
    const model::RopeScalingOptions& scaling = mixer.rope.scaling;
    if (scaling.kind == RopeScalingKind::kNone)
      return facts.require(mixer.softmax_scale == 0.0, "model.attention.softmax_scale");
    facts.require(scaling.kind == RopeScalingKind::kYarn, "model.attention.rope.scaling but of kind yarn");
    require_usual_yarn(facts, scaling);
    facts.require(scaling.magnitude == 1.0 && mixer.softmax_scale > 0.0,
                  "a model.attention.rope.scaling.magnitude other than 1 (mscale other than mscale_all_dim)");
    const auto width = static_cast<double>(mixer.latent.rope_dim + mixer.latent.nope_dim);
    const double strength = std::sqrt(mixer.softmax_scale * std::sqrt(width));
    say_yarn(facts, scaling);
    facts.say_real("rope.scaling.yarn_log_multiplier", (strength - 1.0) / std::log(scaling.factor));
  };
}

GgufFact gguf_no_windows() {
  return [](GgufFacts& facts) {
    for (const AttentionOptions& mixer : facts.mixers())
      facts.require(mixer.window == 0 && mixer.chunk == 0, "model.attention.window or chunk");
  };
}

GgufFact gguf_windows(std::int64_t period) {
  return [period](GgufFacts& facts) {
    const std::int64_t window = facts.mixers().front().window;
    for (std::size_t layer = 0; layer < facts.mixers().size(); ++layer) {
      const AttentionOptions& mixer = facts.mixers()[layer];
      facts.require(
          window > 0 && mixer.window == (is_last_of(layer, period) ? 0 : window),
          fmt::format("other layers with a model.attention.window than all but every {}th", period));
    }
    facts.say_number("attention.sliding_window", window);
  };
}

GgufFact gguf_nope(std::int64_t period) {
  return [period](GgufFacts& facts) {
    for (std::size_t layer = 0; layer < facts.mixers().size(); ++layer) {
      const bool rotates = facts.mixers()[layer].positions == model::Positions::kRope;
      facts.require(rotates != is_last_of(layer, period),
                    fmt::format("model.attention.positions: none in other layers than every {}th", period));
    }
  };
}

GgufFact gguf_query_scale(std::int64_t layers_of_the_other) {
  return [layers_of_the_other](GgufFacts& facts) {
    const model::ModelOptions& options = facts.options();
    const AttentionOptions& mixer = facts.mixers().front();
    const bool other = options.layers == layers_of_the_other;
    const std::int64_t width = other ? options.hidden_size / mixer.heads : mixer.head_dim;
    const double scale = mixer.softmax_scale > 0.0 ? mixer.softmax_scale
                                                   : 1.0 / std::sqrt(static_cast<double>(mixer.head_dim));
    facts.require(std::abs(scale * std::sqrt(static_cast<double>(width)) - 1.0) < 1e-6,
                  "model.attention.softmax_scale");
  };
}

GgufFact gguf_near_theta() {
  return [](GgufFacts& facts) {
    const AttentionOptions& near = facts.mixers().front();
    facts.require(near.rope.theta == 10000.0,
                  "a model.attention.rope.theta of layers with a window other than 10000");
    facts.require(near.rope.scaling.kind == RopeScalingKind::kNone,
                  "model.attention.rope.scaling of layers with a window");
    const auto far = std::ranges::find(facts.mixers(), 0, &AttentionOptions::window);
    if (far == facts.mixers().end() || far->rope.scaling.kind == RopeScalingKind::kNone) return;
    facts.require(far->rope.scaling.kind == RopeScalingKind::kLinear,
                  "model.attention.rope.scaling but of kind linear");
    say_linear(facts, far->rope.scaling.factor);
  };
}

GgufFact gguf_dense() {
  return [](GgufFacts& facts) { facts.say_number("feed_forward_length", model::ffn_width(facts.options())); };
}

GgufFact gguf_experts(const std::vector<std::string>& size_keys) {
  return [size_keys](GgufFacts& facts) {
    const experts::MoeOptions& moe = facts.options().moe;
    facts.say_number("expert_count", moe.experts);
    facts.say_number("expert_used_count", moe.top_k);
    for (const std::string& key : size_keys) facts.say_number(key, moe.expert_size);
  };
}

GgufFact gguf_only_experts() {
  return [](GgufFacts& facts) {
    facts.require(model::moe_layers(facts.options()) == facts.options().layers, "layers without experts");
  };
}

GgufFact gguf_dense_first() {
  return [](GgufFacts& facts) {
    const experts::MoeOptions& moe = facts.options().moe;
    facts.require(moe.last_dense_layers == 0 && moe.every == 1, "layers without experts among those with");
    facts.say_number("leading_dense_block_count", moe.first_dense_layers);
    facts.say_number("expert_shared_count", moe.shared_experts);
  };
}

GgufFact gguf_said_weights() {
  return [](GgufFacts& facts) {
    const experts::RouterOptions& router = facts.options().moe.router;
    facts.say_real("expert_weights_scale", router.scale);
    facts.say("expert_weights_norm", router.normalize_weights);
    facts.say("expert_gating_func", router.score == experts::Score::kSigmoid ? kSigmoid : kSoftmax);
  };
}

GgufFact gguf_normalizes(bool always) {
  return [always](GgufFacts& facts) {
    const experts::RouterOptions& router = facts.options().moe.router;
    facts.require(router.normalize_weights == always,
                  fmt::format("model.moe.router.normalize_weights: {}", router.normalize_weights));
    facts.require(router.scale == 1.0, "model.moe.router.scale");
  };
}

GgufFact gguf_no_groups() {
  return [](GgufFacts& facts) {
    facts.require(facts.options().moe.router.selection == experts::Selection::kTopK,
                  "model.moe.router.selection: group_limited");
  };
}

GgufFact gguf_groups() {
  return [](GgufFacts& facts) {
    const experts::RouterOptions& router = facts.options().moe.router;
    if (router.selection == experts::Selection::kTopK) return;
    facts.require(router.selection == experts::Selection::kGroupLimited, "model.moe.router.selection");
    facts.require(router.group_score == experts::GroupScore::kTop2Sum, "model.moe.router.group_score: max");
    facts.say_number("expert_group_count", router.groups);
    facts.say_number("expert_group_used_count", router.top_groups);
  };
}

GgufFact gguf_caps() {
  return [](GgufFacts& facts) {
    for (const AttentionOptions& mixer : facts.mixers())
      facts.require(mixer.softcap > 0.0, "a model.attention.softcap of 0");
    facts.require(facts.options().logits.softcap > 0.0, "a model.logits.softcap of 0");
    facts.say_real("attn_logit_softcapping", facts.mixers().front().softcap);
    facts.say_real("final_logit_softcapping", facts.options().logits.softcap);
  };
}

GgufFact gguf_no_caps() {
  return [](GgufFacts& facts) {
    for (const AttentionOptions& mixer : facts.mixers())
      facts.require(mixer.softcap == 0.0, "model.attention.softcap");
    facts.require(facts.options().logits.softcap == 0.0, "model.logits.softcap");
  };
}

GgufFact gguf_logit_scale() {
  return [](GgufFacts& facts) { facts.say_real("logit_scale", facts.options().logits.scale); };
}

GgufFact gguf_tied() {
  return
      [](GgufFacts& facts) { facts.require(facts.options().tie_embeddings, "model.tie_embeddings: false"); };
}

GgufFact gguf_learned_positions() {
  return [](GgufFacts& facts) {
    facts.require(facts.options().embedding.positions == facts.context(),
                  "other model.embedding.positions than the context's length");
  };
}

}  // namespace troupe::conversion
