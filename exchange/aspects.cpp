#include "exchange/aspects.h"

#include <algorithm>

#include "base/error.h"
#include "base/index.h"
#include "model/layer_spec.h"

namespace troupe::exchange {
namespace {

void nothing_written(const model::ModelOptions& /*model*/, const OptionTexts& /*options*/,
                     ordered_json& /*config*/) {}

std::string text(std::int64_t value) { return std::to_string(value); }
std::string text(double value) { return json(value).dump(); }

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
                  if (ours == options.at(option)) config[key] = theirs;
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

Aspect dense() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                options["moe.first_dense_layers"] = text(config.require_integer("num_hidden_layers"));
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

Aspect rope(double theta, double fraction) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                json parameters = config.take_any({"rope_parameters", "rope_scaling"});
                if (parameters.is_null()) parameters = json::object();
                if (!parameters.is_object())
                  config.refuse("rope_parameters", "{} is no object", parameters.dump());
                ConfigReader inner(parameters, config.file() + ": rope_parameters");
                const json kind = inner.take_any({"rope_type", "type"});
                if (!kind.is_null() && kind != "default")
                  inner.refuse("rope_type", "{} cannot be said here", kind.dump());
                options["attention.rope.theta"] =
                    text(inner.number("rope_theta", config.number("rope_theta", theta)));
                options["attention.rope.fraction"] = text(
                    inner.number("partial_rotary_factor", config.number("partial_rotary_factor", fraction)));
                inner.require_all_taken();
              },
          .write =
              [=](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const model::RopeOptions& rope = model.attention.rope;
                config["rope_theta"] = rope.theta;  // as programs before rope_parameters read it
                config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", rope.theta}};
                if (rope.fraction == 1.0 && fraction == 1.0) return;
                config["partial_rotary_factor"] = rope.fraction;
                config["rope_parameters"]["partial_rotary_factor"] = rope.fraction;
              }};
}

Aspects joined(std::vector<Aspects> parts) {
  Aspects all;
  for (Aspects& part : parts) std::ranges::move(part, std::back_inserter(all));
  return all;
}

}  // namespace troupe::exchange
