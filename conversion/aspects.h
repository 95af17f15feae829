#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "conversion/config_json.h"
#include "model/options.h"

namespace troupe::conversion {

/// Some keys of a config.json and the options that they are, in both directions.
struct Aspect {
  /// Adds the options that the keys say. Throws kConfig, naming the key, for what no option says.
  std::function<void(ConfigReader& config, OptionTexts& options)> read;
  /// Adds the keys that say the options; what they cannot say is noticed by who reads them back.
  std::function<void(const model::ModelOptions& model, const OptionTexts& options, ordered_json& config)>
      write;
};
using Aspects = std::vector<Aspect>;

// Aspects of one key, or of one under several names, which all are written. `absent`: what it means when it
// is not there; none: it must be.

[[nodiscard]] Aspect value(std::vector<std::string> keys, std::string option, json absent = {});
/// A word, by its names here: {"silu": "swiglu"}.
[[nodiscard]] Aspect word(std::string key, std::string option, std::map<std::string, std::string> names,
                          json absent = {});
/// Only this value can be said; it is written.
[[nodiscard]] Aspect fixed(std::string key, json only);
/// Says nothing of the model: read over, not written.
[[nodiscard]] Aspect ignored(std::vector<std::string> keys);
/// What the family is without saying so.
[[nodiscard]] Aspect implied(std::string option, std::string text);

// Aspects of several keys.

/// Keys of any model that say nothing of its function: token ids, types, training.
[[nodiscard]] Aspect bookkeeping();
/// num_attention_heads, num_key_value_heads, head_dim: of every layer.
[[nodiscard]] Aspect heads();
/// n_head of n_embd channels: every head has keys of its own.
[[nodiscard]] Aspect gpt_heads();
/// n_inner, or four times n_embd.
[[nodiscard]] Aspect gpt_feed_forward();
/// The keys of latent attention.
[[nodiscard]] Aspect latent_heads();
/// No layer has experts. layers: the key of their number
[[nodiscard]] Aspect dense(std::string layers = "num_hidden_layers");
/// decoder_sparse_step and mlp_only_layers: which layers have experts.
[[nodiscard]] Aspect sparse_step();
/// interleave_moe_layer_step, moe_layers: the last of so many layers has experts.
[[nodiscard]] Aspect interleaved_experts();
/// n_group, topk_group: experts are chosen in the best groups. score: a name of router.group_score
[[nodiscard]] Aspect groups(std::string score);
/// query_pre_attn_scalar: scores are divided by its root.
[[nodiscard]] Aspect query_scalar();
/// A cap of logits that may be null. option: 0 is none
[[nodiscard]] Aspect optional_cap(std::string key, std::string option);
/// The embedding's rows times the root of hidden_size, which no key says.
[[nodiscard]] Aspect scaled_embedding();

[[nodiscard]] Aspects joined(std::vector<Aspects> parts);

}  // namespace troupe::conversion
