#include "conversion/aspects.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/index.h"
#include "model/layer_spec.h"
#include "model/widths.h"

namespace troupe::conversion {
namespace {

void nothing_written(const model::ModelOptions& /*model*/, const OptionTexts& /*options*/,
                     ordered_json& /*config*/) {}

}  // namespace

Aspect value(std::vector<std::string> keys, std::string option, json absent) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                json given = absent.is_null() ? config.require_any(keys) : config.take_any(keys);
                if (given.is_null()) given = absent;
                if (!given.is_number() && !given.is_boolean())
                  config.refuse(keys.front(), "{} is no number", given.dump());
                options[option] = given.dump();
              },
          .write =
              [=](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
                for (const std::string& key : keys) config[key] = json_of(options.at(option));
              }};
}

Aspect word(std::string key, std::string option, std::map<std::string, std::string> names, json absent) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                json given = absent.is_null() ? config.require_any({key}) : config.take(key);
                if (given.is_null()) given = absent;
                const auto found = given.is_string() ? names.find(given.get<std::string>()) : names.end();
                if (found == names.end()) config.refuse(key, "{} is not known here", given.dump());
                options[option] = found->second;
              },
          .write =
              [=](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
                for (const auto& [theirs, ours] : names) {
                  if (ours != options.at(option)) continue;
                  config[key] = theirs;
                  return;
                }
              }};
}

Aspect fixed(std::string key, json only) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& /*options*/) {
                const json given = config.take(key);
                if (!given.is_null() && given != only)
                  config.refuse(key, "it is {}, only {} can be said here", given.dump(), only.dump());
              },
          .write = [=](const model::ModelOptions& /*model*/, const OptionTexts& /*options*/,
                       ordered_json& config) { config[key] = only; }};
}

Aspect ignored(std::vector<std::string> keys) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& /*options*/) {
                for (const std::string& key : keys) static_cast<void>(config.take(key));
              },
          .write = nothing_written};
}

Aspect implied(std::string option, std::string text) {
  return {.read = [=](ConfigReader& /*config*/, OptionTexts& options) { options[option] = text; },
          .write = nothing_written};
}

Aspect bookkeeping() {
  return ignored({"model_type",
                  "architectures",
                  "dtype",
                  "torch_dtype",
                  "transformers_version",
                  "use_cache",
                  "bos_token_id",
                  "eos_token_id",
                  "pad_token_id",
                  "initializer_range",
                  "attention_dropout",
                  "max_position_embeddings",
                  "output_router_logits",
                  "router_aux_loss_coef",
                  "router_jitter_noise",
                  "_name_or_path",
                  "auto_map",
                  "pretraining_tp",
                  "ep_size",
                  "aux_loss_alpha",
                  "seq_aux",
                  "output_attentions",
                  "output_hidden_states",
                  "return_dict",
                  "chunk_size_feed_forward",
                  "use_bidirectional_attention",
                  "is_encoder_decoder",
                  "problem_type",
                  "id2label",
                  "label2id"});
}

Aspect heads() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t count = config.require_integer("num_attention_heads");
                const std::int64_t hidden = config.require_integer("hidden_size");
                if (count < 1) config.refuse("num_attention_heads", "{} is no count", count);
                options["attention.heads"] = text(count);
                options["attention.kv_heads"] = text(config.integer("num_key_value_heads", count));
                options["attention.head_dim"] = text(config.integer("head_dim", hidden / count));
              },
          .write =
              [](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
                config["num_attention_heads"] = json_of(options.at("attention.heads"));
                config["num_key_value_heads"] = json_of(options.at("attention.kv_heads"));
                config["head_dim"] = json_of(options.at("attention.head_dim"));
              }};
}

Aspect dense(std::string layers) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                options["moe.first_dense_layers"] = text(config.require_integer(layers));
              },
          .write = nothing_written};
}

Aspect sparse_step() {
  return {
      .read =
          [](ConfigReader& config, OptionTexts& options) {
            const std::int64_t layers = config.require_integer("num_hidden_layers");
            const std::int64_t step = config.integer("decoder_sparse_step", 1);
            if (step < 1) config.refuse("decoder_sparse_step", "{} is no step", step);
            json listed = config.take("mlp_only_layers");
            if (listed.is_null()) listed = json::array();
            if (!listed.is_array()) config.refuse("mlp_only_layers", "{} is no list", listed.dump());
            model::ModelOptions as_here;  // the first layers of the list are dense, then every step-th is not
            as_here.layers = layers;
            as_here.moe.every = step;
            as_here.moe.first_dense_layers = 0;
            while (std::ranges::find(listed, json(as_here.moe.first_dense_layers)) != listed.end())
              as_here.moe.first_dense_layers += 1;
            for (std::int64_t layer = 0; layer < layers; ++layer) {
              const bool only_mlp = std::ranges::find(listed, json(layer)) != listed.end();
              const bool has_experts = !only_mlp && (layer + 1) % step == 0;
              if (has_experts != model::is_moe_layer(as_here, layer))
                config.refuse("mlp_only_layers", "{} with decoder_sparse_step {} cannot be said here",
                              listed.dump(), step);
            }
            options["moe.first_dense_layers"] = text(as_here.moe.first_dense_layers);
            options["moe.every"] = text(step);
          },
      .write =
          [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
            config["decoder_sparse_step"] = model.moe.every;
            json dense = json::array();
            for (std::int64_t layer = 0; layer < model.moe.first_dense_layers; ++layer)
              dense.push_back(layer);
            config["mlp_only_layers"] = dense;
          }};
}

Aspect interleaved_experts() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t step = config.integer("interleave_moe_layer_step", 1);
                if (step < 1) config.refuse("interleave_moe_layer_step", "{} is no step", step);
                json expected = json::array();
                for (std::int64_t layer = step - 1; layer < config.require_integer("num_hidden_layers");
                     layer += step)
                  expected.push_back(layer);
                const json listed = config.take("moe_layers");
                if (!listed.is_null() && listed != expected)
                  config.refuse("moe_layers", "{} cannot be said here, only {}", listed.dump(),
                                expected.dump());
                options["moe.first_dense_layers"] = "0";
                options["moe.every"] = text(step);
              },
          .write = [](const model::ModelOptions& model, const OptionTexts& /*options*/,
                      ordered_json& config) { config["interleave_moe_layer_step"] = model.moe.every; }};
}

Aspect groups(std::string score) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                const std::int64_t count = config.integer("n_group", 1);
                options["moe.router.groups"] = text(count);
                options["moe.router.top_groups"] = text(config.integer("topk_group", 1));
                options["moe.router.selection"] = count > 1 ? "group_limited" : "top_k";
                if (count > 1) options["moe.router.group_score"] = score;
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                config["n_group"] = model.moe.router.groups;
                config["topk_group"] = model.moe.router.top_groups;
              }};
}

Aspect gpt_heads() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t count = config.require_integer("n_head");
                const std::int64_t hidden = config.require_integer("n_embd");
                if (count < 1 || hidden % count != 0)
                  config.refuse("n_head", "{} of {} channels", count, hidden);
                options["hidden_size"] = text(hidden);
                options["attention.kind"] = "mha";
                options["attention.heads"] = options["attention.kv_heads"] = text(count);
                options["attention.head_dim"] = text(hidden / count);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& options, ordered_json& config) {
                config["n_embd"] = model.hidden_size;
                config["n_head"] = json_of(options.at("attention.heads"));
              }};
}

Aspect gpt_feed_forward() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                options["ffn.intermediate_size"] =
                    text(config.integer("n_inner", 4 * config.require_integer("n_embd")));
              },
          .write = [](const model::ModelOptions& model, const OptionTexts& /*options*/,
                      ordered_json& config) { config["n_inner"] = model::ffn_width(model); }};
}

Aspect latent_heads() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t count = config.require_integer("num_attention_heads");
                const std::int64_t rotated = config.require_integer("qk_rope_head_dim");
                const std::int64_t nope = config.require_integer("qk_nope_head_dim");
                if (config.integer("num_key_value_heads", count) != count)
                  config.refuse("num_key_value_heads", "it is not num_attention_heads, {}", count);
                if (config.integer("head_dim", rotated) != rotated)
                  config.refuse("head_dim", "it is not qk_rope_head_dim, {}", rotated);
                if (config.integer("qk_head_dim", rotated + nope) != rotated + nope)
                  config.refuse("qk_head_dim", "it is not that of both parts, {}", rotated + nope);
                options["attention.kind"] = "mla";
                options["attention.heads"] = text(count);
                options["attention.qk_norm"] = "none";
                options["attention.latent.query_rank"] = text(config.integer("q_lora_rank", 0));
                options["attention.latent.kv_rank"] = text(config.require_integer("kv_lora_rank"));
                options["attention.latent.rope_dim"] = text(rotated);
                options["attention.latent.nope_dim"] = text(nope);
                options["attention.latent.value_dim"] = text(config.require_integer("v_head_dim"));
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const model::AttentionOptions mixer = model::layer_mixers(model).front();
                const model::LatentOptions& latent = mixer.latent;
                config["num_attention_heads"] = config["num_key_value_heads"] = mixer.heads;
                config["q_lora_rank"] =
                    latent.query_rank > 0 ? ordered_json(latent.query_rank) : ordered_json();
                config["kv_lora_rank"] = latent.kv_rank;
                config["qk_rope_head_dim"] = config["head_dim"] = latent.rope_dim;
                config["qk_nope_head_dim"] = latent.nope_dim;
                config["qk_head_dim"] = latent.rope_dim + latent.nope_dim;
                config["v_head_dim"] = latent.value_dim;
              }};
}

Aspect query_scalar() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const double scalar = config.number("query_pre_attn_scalar", 256.0);
                if (scalar <= 0.0) config.refuse("query_pre_attn_scalar", "{} is not positive", scalar);
                const bool is_usual = text(scalar) == text(std::stod(options.at("attention.head_dim")));
                options["attention.softmax_scale"] = is_usual ? "0" : text(1.0 / std::sqrt(scalar));
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const model::AttentionOptions mixer = model::layer_mixers(model).front();
                const double scale = mixer.softmax_scale;
                // Such numbers are small and whole, but the root of their reciprocal is rounded.
                config["query_pre_attn_scalar"] =
                    scale == 0.0 ? mixer.head_dim
                                 : static_cast<std::int64_t>(std::llround(1.0 / (scale * scale)));
              }};
}

Aspect optional_cap(std::string key, std::string option) {
  return {.read = [=](ConfigReader& config,
                      OptionTexts& options) { options[option] = text(config.number(key, 0.0)); },
          .write =
              [=](const model::ModelOptions& /*model*/, const OptionTexts& options, ordered_json& config) {
                const json cap = json_of(options.at(option));
                config[key] = cap == 0.0 ? ordered_json() : ordered_json(cap.get<double>());
              }};
}

Aspect scaled_embedding() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                options["embedding.scale"] =
                    text(std::sqrt(static_cast<double>(config.require_integer("hidden_size"))));
              },
          .write = nothing_written};
}

Aspects joined(std::vector<Aspects> parts) {
  Aspects all;
  for (Aspects& part : parts) std::ranges::move(part, std::back_inserter(all));
  return all;
}

}  // namespace troupe::conversion
