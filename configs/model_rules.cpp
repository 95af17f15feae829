#include "configs/model_rules.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/index.h"
#include "configs/model_parts.h"
#include "configs/rule_list.h"

namespace troupe::configs {
namespace {

using experts::Selection;

class ModelRules : RuleList {
 public:
  explicit ModelRules(const RunConfig& config) : config_(config) {}

  std::vector<RuleProblem> check() {
    check_mixers();
    return take();
  }

 private:
  void check_mixers() {
    const auto& model = config_.model;
    check_model_parts();
    for_each_mixer(config_.model, [&](const model::AttentionOptions& mixer, const std::string& key) {
      check_attention(mixer, key);
    });
    if (model.mixers.empty()) {
      require(
          model.layer_pattern.empty() && model.layer_exceptions.empty(), "model.layer_pattern",
          "model.layer_pattern and layer_exceptions name mixers, and model.mixers has none: every layer has "
          "model.attention");
      return;
    }
    require(!model.layer_pattern.empty(), "model.layer_pattern",
            "model.layer_pattern must say which of model.mixers the layers have, for example [{}]",
            model.mixers.front().name);
    if (!model.layer_pattern.empty()) check_layers();
  }

  void check_model_parts() {
    const auto& model = config_.model;
    check_mtp();
    require(model.norm.eps > 0.0, "model.norm.eps", "model.norm.eps must be above 0");
    require(!model.norm.bias || model.norm.kind == layers::NormKind::kLayerNorm, "model.norm.bias",
            "model.norm.bias is the bias of kind: layer_norm; {} has none",
            layers::kNormNames[at(model.norm.kind)]);
    require(!model.logits.normed || !model.logits.bias, "model.logits.bias",
            "a head with rows of length 1 has no bias: set model.logits.bias: false");
    require(
        !model.mup.on() || model.init.kind == model::InitKind::kNormal, "model.init.kind",
        "model.mup says what initial values are at other widths; init.kind: {} does, too: set it to normal",
        model::kInitNames[at(model.init.kind)]);
    require(
        model.moe.router.softcap == 0.0 || model.moe.router.selection != Selection::kNoisyTopK,
        "model.moe.router.softcap",
        "selection: noisy_top_k adds noise to logits without a soft cap: set model.moe.router.softcap: 0");
    const std::int64_t positions = model.embedding.positions;
    require(positions == 0 || positions >= config_.data.sequence_length, "model.embedding.positions",
            "model.embedding.positions = {} are too few for data.sequence_length = {}", positions,
            config_.data.sequence_length);
  }

  void check_mtp() {
    const auto& model = config_.model;
    if (model.mtp.depth == 0) return;
    require(!model.objective.compares(), "model.mtp.depth",
            "model.mtp predicts further tokens of a text; objective.kind: {} compares answers: set depth: 0",
            model::kObjectiveNames[at(model.objective.kind)]);
    require(!model.logits.normed, "model.mtp.depth", "model.mtp does not go with model.logits.normed yet");
    require(model.embedding.positions == 0, "model.mtp.depth",
            "model.mtp reads embeddings of later tokens, and model.embedding.positions adds those of places: "
            "set one of them to 0");
    require(model.mtp.depth + 1 < config_.data.sequence_length, "model.mtp.depth",
            "model.mtp.depth = {} leaves nothing to predict in data.sequence_length = {}", model.mtp.depth,
            config_.data.sequence_length);
  }

  void check_layers() {
    const auto& model = config_.model;
    for (const auto& [layer, name] : model.layer_exceptions) {
      require(is_layer(layer), "model.layer_exceptions." + layer,
              "model.layer_exceptions.{}: the layers are numbered from 0 to {}", layer, model.layers - 1);
    }
    try {
      static_cast<void>(model::layer_mixers(model));
    } catch (const Error& error) {
      add({{"model.layer_pattern", error.what()}});
    }
  }

  [[nodiscard]] bool is_layer(const std::string& text) const {
    for (std::int64_t layer = 0; layer < config_.model.layers; ++layer)
      if (std::to_string(layer) == text) return true;
    return false;
  }

  void check_attention(const model::AttentionOptions& attention, const std::string& key) {
    require(attention.stride == 0 || attention.window > 0, key + ".window",
            "{0}.stride = {1} goes beyond a window of keys: set {0}.window, 1 for the query's own key alone",
            key, attention.stride);
    require(attention.temperature == 0.0 || attention.temperature_length > 1 ||
                attention.temperature_shape == model::TemperatureShape::kSteps,
            key + ".temperature_length", "temperature_shape: log needs {}.temperature_length above 1", key);
    if (attention.kind == model::AttentionKind::kMla) return check_latent(attention, key);
    const std::int64_t heads = attention.heads;
    const std::int64_t kv_heads = attention.kv_heads;
    require(heads % kv_heads == 0, key + ".kv_heads", "{0}.kv_heads = {1} must divide {0}.heads = {2}", key,
            kv_heads, heads);
    require(attention.kind != model::AttentionKind::kMha || kv_heads == heads, key + ".kv_heads",
            "kind: mha has as many kv_heads as heads, {}; {} are asked for", heads, kv_heads);
    require(attention.kind != model::AttentionKind::kMqa || kv_heads == 1, key + ".kv_heads",
            "kind: mqa has 1 kv_head; {} are asked for", kv_heads);
    require(attention.query_rank == 0 || !attention.qkv_bias, key + ".qkv_bias",
            "queries from a latent have no bias: set {}.qkv_bias: false", key);
    if (attention.positions == model::Positions::kRope) check_rope(attention, key);
  }

  void check_latent(const model::AttentionOptions& attention, const std::string& key) {
    const auto& latent = attention.latent;
    constexpr std::int64_t kMostChannels = 256;
    const std::int64_t head_dim = latent.rope_dim + latent.nope_dim;
    require(head_dim <= kMostChannels, key + ".latent.nope_dim",
            "{}.latent: rope_dim + nope_dim = {} exceeds {}, what the kernels hold", key, head_dim,
            kMostChannels);
    require(latent.value_dim <= head_dim, key + ".latent.value_dim",
            "{}.latent.value_dim = {} exceeds rope_dim + nope_dim = {}", key, latent.value_dim, head_dim);
    require(latent.rope_dim % 2 == 0, key + ".latent.rope_dim",
            "{}.latent.rope_dim = {} must be even: rotations turn pairs", key, latent.rope_dim);
    require(!attention.qkv_bias, key + ".qkv_bias", "kind: mla has no biases: set {}.qkv_bias: false", key);
    require(!attention.out_bias, key + ".out_bias", "kind: mla has no biases: set {}.out_bias: false", key);
    require(attention.temperature == 0.0, key + ".temperature",
            "kind: mla has no temperature: set {}.temperature: 0", key);
    require(attention.query_rank == 0, key + ".query_rank",
            "kind: mla has its queries' latent in {0}.latent.query_rank: set {0}.query_rank: 0", key);
    require(!attention.sinks, key + ".sinks", "kind: mla has no sinks: set {}.sinks: false", key);
    check_scaling(attention, key);
  }

  void check_rope(const model::AttentionOptions& attention, const std::string& key) {
    const double rotated = static_cast<double>(attention.head_dim) * attention.rope.fraction;
    require(std::fmod(rotated, 2.0) == 0.0, key + ".rope.fraction",
            "head_dim * rope.fraction = {} must be an even whole number: rotations turn pairs", rotated);
    check_scaling(attention, key);
  }

  void check_scaling(const model::AttentionOptions& attention, const std::string& key) {
    const auto& scaling = attention.rope.scaling;
    require(scaling.low_frequency_factor <= scaling.high_frequency_factor,
            key + ".rope.scaling.low_frequency_factor",
            "{}.rope.scaling.low_frequency_factor = {} exceeds high_frequency_factor = {}", key,
            scaling.low_frequency_factor, scaling.high_frequency_factor);
    require(scaling.beta_slow <= scaling.beta_fast, key + ".rope.scaling.beta_slow",
            "{}.rope.scaling.beta_slow = {} exceeds beta_fast = {}", key, scaling.beta_slow,
            scaling.beta_fast);
  }

  const RunConfig& config_;
};

}  // namespace

std::vector<RuleProblem> model_problems(const RunConfig& config) { return ModelRules(config).check(); }

}  // namespace troupe::configs
