#include "conversion/positions.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/index.h"
#include "model/layer_spec.h"

namespace troupe::conversion {
namespace {

using model::RopeScalingKind;
using model::RopeScalingOptions;

constexpr const char* kFull = "full_attention";
constexpr const char* kSliding = "sliding_attention";

/// What makes a layer's mixer another than the others'.
struct LayerKind {
  std::string name;  // of the mixer
  OptionTexts settings;
  bool operator==(const LayerKind&) const = default;
};

/// The shortest list that gives the names of all layers when it is repeated.
std::vector<std::string> period_of(const std::vector<std::string>& names) {
  for (std::size_t period = 1; period < names.size(); ++period) {
    bool repeats = true;
    for (std::size_t i = period; i < names.size() && repeats; ++i) repeats = names[i] == names[i % period];
    if (repeats) return {names.begin(), names.begin() + static_cast<std::ptrdiff_t>(period)};
  }
  return names;
}

/// [local, local, full] as "[local*2, full]"
std::string pattern_text(const std::vector<std::string>& names) {
  std::vector<std::string> runs;
  for (std::size_t i = 0; i < names.size();) {
    std::size_t end = i;
    while (end < names.size() && names[end] == names[i]) ++end;
    runs.push_back(end - i == 1 ? names[i] : fmt::format("{}*{}", names[i], end - i));
    i = end;
  }
  return fmt::format("[{}]", fmt::join(runs, ", "));
}

void set_layers(const std::vector<LayerKind>& layers, OptionTexts& options) {
  if (layers.empty()) return;
  if (std::ranges::all_of(layers, [&](const LayerKind& layer) { return layer == layers.front(); })) {
    for (const auto& [key, text] : layers.front().settings) options["attention." + key] = text;
    return;
  }
  std::vector<std::string> names;
  for (const LayerKind& layer : layers) {
    names.push_back(layer.name);
    for (const auto& [key, text] : layer.settings)
      options[fmt::format("mixers.{}.{}", layer.name, key)] = text;
    if (layer.settings.empty()) options.try_emplace("mixers." + layer.name, "{}");
  }
  options["layer_pattern"] = pattern_text(period_of(names));
}

std::int64_t layer_count(ConfigReader& config) {
  const std::int64_t layers = config.require_integer("num_hidden_layers");
  if (layers < 1 || layers > 10'000) config.refuse("num_hidden_layers", "{} is no number of layers", layers);
  return layers;
}

/// Whether each layer has a window: by layer_types, or where that is absent by the rule.
std::vector<bool> sliding_layers(ConfigReader& config, const std::function<bool(std::int64_t)>& by_rule) {
  const std::int64_t layers = layer_count(config);
  const json types = config.take("layer_types");
  std::vector<bool> sliding;
  if (types.is_null()) {
    for (std::int64_t layer = 0; layer < layers; ++layer) sliding.push_back(by_rule(layer));
    return sliding;
  }
  if (!types.is_array() || std::ssize(types) != layers)
    config.refuse("layer_types", "it is not a list of {} layers", layers);
  for (const json& type : types) {
    if (type != kFull && type != kSliding)
      config.refuse("layer_types", "{} cannot be said here", type.dump());
    sliding.push_back(type == kSliding);
  }
  return sliding;
}

std::string window_text(ConfigReader& config) {
  const std::int64_t window = config.require_integer("sliding_window");
  if (window < 1) config.refuse("sliding_window", "{} is no window", window);
  return text(window);
}

/// Layers with a window, and others with these settings.
std::vector<LayerKind> kinds_of(ConfigReader& config, const std::vector<bool>& sliding,
                                const std::string& other, const OptionTexts& settings) {
  std::vector<LayerKind> layers;
  for (const bool has_window : sliding) {
    layers.push_back(has_window ? LayerKind{"local", {{"window", window_text(config)}}}
                                : LayerKind{other, settings});
  }
  static_cast<void>(config.take("sliding_window"));
  return layers;
}

/// Whether each layer has rotary positions: by no_rope_layers, or in all but each no_rope_layer_interval-th.
std::vector<bool> rotated_layers(ConfigReader& config) {
  const std::int64_t layers = layer_count(config);
  const std::int64_t every = config.integer("no_rope_layer_interval", 4);
  const json listed = config.take("no_rope_layers");
  if (every < 1) config.refuse("no_rope_layer_interval", "{} is no interval", every);
  const bool is_list = listed.is_array() && std::ssize(listed) == layers;
  if (!is_list && !listed.is_null() && listed != json::array())
    config.refuse("no_rope_layers", "it is not a list of {} layers", layers);
  std::vector<bool> rotated;
  for (std::int64_t layer = 0; layer < layers; ++layer)
    rotated.push_back(is_list ? listed[at(layer)] != 0 : (layer + 1) % every != 0);
  return rotated;
}

std::function<bool(std::int64_t)> all_but_each(std::int64_t every) {
  return [every](std::int64_t layer) { return (layer + 1) % every != 0; };
}

void write_layer_types(const model::ModelOptions& model, ordered_json& config) {
  config["layer_types"] = json::array();
  config["sliding_window"] = ordered_json();
  for (const model::AttentionOptions& mixer : model::layer_mixers(model)) {
    config["layer_types"].push_back(mixer.window > 0 ? kSliding : kFull);
    if (mixer.window > 0) config["sliding_window"] = mixer.window;
  }
}

double yarn_magnitude(double factor, double strength) {
  return factor <= 1.0 ? 1.0 : 0.1 * strength * std::log(factor) + 1.0;
}

/// How rope_parameters are read into options that begin with `prefix`.
class RopeReader {
 public:
  RopeReader(const json& parameters, ConfigReader& outer, std::string prefix, OptionTexts& options)
      : outer_(outer),
        inner_(parameters, outer.file() + ": rope_parameters"),
        prefix_(std::move(prefix)),
        options_(options) {}

  void read(const RopeDefaults& defaults) {
    set("theta", inner_.number("rope_theta", outer_.number("rope_theta", defaults.theta)));
    set("fraction",
        inner_.number("partial_rotary_factor", outer_.number("partial_rotary_factor", defaults.fraction)));
    if (defaults.interleaved) options_[prefix_ + "pairing"] = "interleaved";
    read_scaling(defaults);
    inner_.require_all_taken();
  }

 private:
  void set(const std::string& key, double value) { options_[prefix_ + key] = text(value); }
  void set(const std::string& key, std::int64_t value) { options_[prefix_ + key] = text(value); }

  void read_scaling(const RopeDefaults& defaults) {
    const json given = inner_.take_any({"rope_type", "type"});
    const std::string kind = given.is_string() ? given.get<std::string>() : "default";
    if (kind == "default") return;
    if (kind != "linear" && kind != "llama3" && kind != "yarn")
      inner_.refuse("rope_type", "{} cannot be said here", given.dump());
    options_[prefix_ + "scaling.kind"] = kind;
    set("scaling.factor", inner_.number("factor", 1.0));
    if (kind == "linear") return;
    set("scaling.original_length",
        inner_.integer("original_max_position_embeddings", outer_.integer("max_position_embeddings", 8192)));
    if (kind == "llama3") {
      set("scaling.low_frequency_factor", inner_.number("low_freq_factor", 1.0));
      set("scaling.high_frequency_factor", inner_.number("high_freq_factor", 4.0));
      return;
    }
    read_yarn(defaults);
  }

  void read_yarn(const RopeDefaults& defaults) {
    set("scaling.beta_fast", inner_.number("beta_fast", 32.0));
    set("scaling.beta_slow", inner_.number("beta_slow", 1.0));
    options_[prefix_ + "scaling.truncate"] = inner_.flag("truncate", true) ? "true" : "false";
    const double factor = inner_.number("factor", 1.0);
    const double strength = inner_.number("mscale", 0.0);
    const double of_scores = inner_.number("mscale_all_dim", 0.0);
    double magnitude = inner_.number("attention_factor", 0.0);
    if (magnitude == 0.0 && strength != 0.0 && of_scores != 0.0)
      magnitude = yarn_magnitude(factor, strength) / yarn_magnitude(factor, of_scores);
    set("scaling.magnitude", magnitude);
    if (!defaults.latent || of_scores == 0.0) return;
    const double width = std::stod(options_.at("attention.latent.rope_dim")) +
                         std::stod(options_.at("attention.latent.nope_dim"));
    options_["attention.softmax_scale"] =
        text(std::pow(yarn_magnitude(factor, of_scores), 2) / std::sqrt(width));
  }

  ConfigReader& outer_;
  ConfigReader inner_;
  std::string prefix_;
  OptionTexts& options_;
};

json rope_parameters(ConfigReader& config) {
  json parameters = config.take_any({"rope_parameters", "rope_scaling"});
  if (parameters.is_null()) parameters = json::object();
  if (!parameters.is_object()) config.refuse("rope_parameters", "{} is no object", parameters.dump());
  return parameters;
}

/// The strength that mscale and mscale_all_dim have where scores are scaled so; 0: they are not.
double strength_of_scores(const model::AttentionOptions& mixer) {
  const double width = static_cast<double>(mixer.latent.rope_dim + mixer.latent.nope_dim);
  const double factor = mixer.rope.scaling.factor;
  if (mixer.softmax_scale == 0.0 || factor <= 1.0) return 0.0;
  const double strength =
      (std::sqrt(mixer.softmax_scale * std::sqrt(width)) - 1.0) / (0.1 * std::log(factor));
  return std::round(strength * 1e6) / 1e6;  // a short number in every model
}

ordered_json yarn_json(const model::AttentionOptions& mixer, bool latent) {
  const RopeScalingOptions& scaling = mixer.rope.scaling;
  ordered_json yarn{{"factor", scaling.factor},
                    {"original_max_position_embeddings", scaling.original_length},
                    {"beta_fast", scaling.beta_fast},
                    {"beta_slow", scaling.beta_slow},
                    {"truncate", scaling.truncate}};
  const double of_scores = latent ? strength_of_scores(mixer) : 0.0;
  if (of_scores != 0.0) {
    const double magnitude = scaling.magnitude * yarn_magnitude(scaling.factor, of_scores);
    yarn["mscale"] = std::round((magnitude - 1.0) / (0.1 * std::log(scaling.factor)) * 1e6) / 1e6;
    yarn["mscale_all_dim"] = of_scores;
  } else if (scaling.magnitude != 0.0) {
    yarn["attention_factor"] = scaling.magnitude;
  }
  return yarn;
}

ordered_json parameters_json(const model::AttentionOptions& mixer, const RopeDefaults& defaults) {
  const RopeScalingOptions& scaling = mixer.rope.scaling;
  ordered_json parameters{{"rope_type", scaling.kind == RopeScalingKind::kNone
                                            ? "default"
                                            : std::string(model::kRopeScalingNames[at(scaling.kind)])},
                          {"rope_theta", mixer.rope.theta}};
  if (mixer.rope.fraction != 1.0 || defaults.fraction != 1.0)
    parameters["partial_rotary_factor"] = mixer.rope.fraction;
  if (scaling.kind == RopeScalingKind::kLinear) parameters["factor"] = scaling.factor;
  if (scaling.kind == RopeScalingKind::kLlama3) {
    parameters.update({{"factor", scaling.factor},
                       {"original_max_position_embeddings", scaling.original_length},
                       {"low_freq_factor", scaling.low_frequency_factor},
                       {"high_freq_factor", scaling.high_frequency_factor}});
  }
  if (scaling.kind == RopeScalingKind::kYarn) parameters.update(yarn_json(mixer, defaults.latent));
  return parameters;
}

/// The first layer's that is rotated.
model::AttentionOptions rotated_mixer(const model::ModelOptions& model) {
  const auto mixers = model::layer_mixers(model);
  const auto found = std::ranges::find(mixers, model::Positions::kRope, &model::AttentionOptions::positions);
  return found == mixers.end() ? mixers.front() : *found;
}

}  // namespace

Aspect rope(const RopeDefaults& defaults) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                RopeReader(rope_parameters(config), config, "attention.rope.", options).read(defaults);
              },
          .write =
              [=](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const model::AttentionOptions mixer = rotated_mixer(model);
                const ordered_json parameters = parameters_json(mixer, defaults);
                config["rope_theta"] = mixer.rope.theta;  // as programs before rope_parameters read it
                if (parameters["rope_type"] != "default") config["rope_scaling"] = parameters;
                if (parameters.contains("partial_rotary_factor"))
                  config["partial_rotary_factor"] = parameters["partial_rotary_factor"];
                config["rope_parameters"] = parameters;
              }};
}

Aspect rotary_dim() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const double head_dim = std::stod(options.at("attention.head_dim"));
                const double rotated = config.number("rotary_dim", 0.0);
                if (rotated > 0.0) options["attention.rope.fraction"] = text(rotated / head_dim);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const model::AttentionOptions mixer = model::layer_mixers(model).front();
                config["rotary_dim"] =
                    std::llround(static_cast<double>(mixer.head_dim) * mixer.rope.fraction);
              }};
}

Aspect window() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                if (!config.take("sliding_window").is_null())
                  options["attention.window"] = window_text(config);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                const std::int64_t size = model::layer_mixers(model).front().window;
                config["sliding_window"] = size > 0 ? ordered_json(size) : ordered_json();
              }};
}

Aspect layer_types() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const bool uses = config.flag("use_sliding_window", false);
                const std::int64_t first = config.integer("max_window_layers", 28);
                const auto sliding =
                    sliding_layers(config, [&](std::int64_t layer) { return uses && layer >= first; });
                set_layers(kinds_of(config, sliding, "full", {}), options);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                write_layer_types(model, config);
                config["use_sliding_window"] = !config["sliding_window"].is_null();
              }};
}

Aspect alternating(std::int64_t every) {
  return {.read =
              [=](ConfigReader& config, OptionTexts& options) {
                set_layers(kinds_of(config, sliding_layers(config, all_but_each(every)), "full", {}),
                           options);
              },
          .write = [](const model::ModelOptions& model, const OptionTexts& /*options*/,
                      ordered_json& config) { write_layer_types(model, config); }};
}

Aspect windows_and_nope() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t every = config.integer("sliding_window_pattern", 4);
                if (every < 1) config.refuse("sliding_window_pattern", "{} is no pattern", every);
                const auto sliding = sliding_layers(config, all_but_each(every));
                set_layers(kinds_of(config, sliding, "nope", {{"positions", "none"}}), options);
              },
          .write = [](const model::ModelOptions& model, const OptionTexts& /*options*/,
                      ordered_json& config) { write_layer_types(model, config); }};
}

Aspect windows_and_far_rope() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const std::int64_t every =
                    config.integer("_sliding_window_pattern", config.integer("sliding_window_pattern", 6));
                if (every < 1) config.refuse("sliding_window_pattern", "{} is no pattern", every);
                const auto sliding = sliding_layers(config, all_but_each(every));
                const json all = rope_parameters(config);
                const auto of = [&](const char* type) {
                  return all.contains(type) ? all.at(type) : json::object();
                };
                OptionTexts far;
                RopeReader(all.contains("rope_type") ? all : of(kFull), config, "rope.", far)
                    .read({.theta = 1'000'000.0});
                json near = of(kSliding);
                if (near.empty()) near["rope_theta"] = config.number("rope_local_base_freq", 10000.0);
                static_cast<void>(config.take("rope_local_base_freq"));
                RopeReader(near, config, "attention.rope.", options).read({});
                set_layers(kinds_of(config, sliding, "full", far), options);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                write_layer_types(model, config);
                ordered_json parameters = ordered_json::object();
                for (const model::AttentionOptions& mixer : model::layer_mixers(model))
                  parameters[mixer.window > 0 ? kSliding : kFull] = parameters_json(mixer, {});
                config["rope_parameters"] = parameters;
              }};
}

Aspect no_rope_layers() {
  return {
      .read =
          [](ConfigReader& config, OptionTexts& options) {
            std::vector<LayerKind> kinds;
            for (const bool rotated : rotated_layers(config))
              kinds.push_back(rotated ? LayerKind{"full", {}} : LayerKind{"nope", {{"positions", "none"}}});
            set_layers(kinds, options);
          },
      .write =
          [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
            config["no_rope_layers"] = json::array();
            for (const model::AttentionOptions& mixer : model::layer_mixers(model))
              config["no_rope_layers"].push_back(mixer.positions == model::Positions::kRope ? 1 : 0);
          }};
}

Aspect chunks_and_nope() {
  return {.read =
              [](ConfigReader& config, OptionTexts& options) {
                const bool has_norm = config.flag("use_qk_norm", true);
                const bool has_temperature = config.flag("attn_temperature_tuning", true);
                const std::int64_t length = config.integer("floor_scale", 8192);
                const double temperature = config.number("attn_scale", 0.1);
                const LayerKind chunked{"chunked",
                                        {{"chunk", text(config.integer("attention_chunk_size", 8192))},
                                         {"qk_norm", has_norm ? "l2" : "none"}}};
                LayerKind nope{"nope", {{"positions", "none"}, {"qk_norm", "none"}}};
                if (has_temperature) {
                  nope.settings["temperature"] = text(temperature);
                  nope.settings["temperature_length"] = text(length);
                }
                std::vector<LayerKind> kinds;
                for (const bool rotated : rotated_layers(config)) kinds.push_back(rotated ? chunked : nope);
                static_cast<void>(config.take("layer_types"));
                set_layers(kinds, options);
              },
          .write =
              [](const model::ModelOptions& model, const OptionTexts& /*options*/, ordered_json& config) {
                config["no_rope_layers"] = json::array();
                config["layer_types"] = json::array();
                config["use_qk_norm"] = config["attn_temperature_tuning"] = false;
                for (const model::AttentionOptions& mixer : model::layer_mixers(model)) {
                  const bool rotated = mixer.positions == model::Positions::kRope;
                  config["no_rope_layers"].push_back(rotated ? 1 : 0);
                  config["layer_types"].push_back(rotated ? "chunked_attention" : kFull);
                  if (rotated) config["attention_chunk_size"] = mixer.chunk;
                  if (mixer.qk_norm == model::QkNorm::kL2) config["use_qk_norm"] = true;
                  if (mixer.temperature == 0.0) continue;
                  config["attn_temperature_tuning"] = true;
                  config["attn_scale"] = mixer.temperature;
                  config["floor_scale"] = mixer.temperature_length;
                }
              }};
}

}  // namespace troupe::conversion
