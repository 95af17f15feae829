#include "conversion/model_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "configs/load.h"
#include "model/layer_spec.h"
#include "model/widths.h"

namespace troupe::conversion {
namespace {

constexpr std::size_t kMaximumConfigBytes = std::size_t{1} << 20;

/// Options that only training reads, and those that are compared by layer.
bool is_compared(const std::string& key, const model::ModelOptions& model) {
  static const std::vector<std::string> kOfTraining{"init.",
                                                    "loss.",
                                                    "dropout.",
                                                    "moe.aux_loss",
                                                    "mtp.loss_weight",
                                                    "moe.balancer.",
                                                    "moe.co_activation",
                                                    "moe.router.z_loss",
                                                    "moe.router.jitter",
                                                    "moe.router.init_scale"};
  static const std::vector<std::string> kByLayer{"attention.", "mixers", "layer_pattern", "layer_exceptions"};
  const auto is_below = [&](const std::string& group) { return key.starts_with(group); };
  if (std::ranges::any_of(kOfTraining, is_below) || std::ranges::any_of(kByLayer, is_below)) return false;
  const std::int64_t with_experts = model::moe_layers(model);
  if (with_experts == 0 && key.starts_with("moe.")) return false;
  if (with_experts == model.layers && (key == "ffn.intermediate_size" || key == "moe.first_dense_layers"))
    return false;
  const bool by_groups = model.moe.router.selection == experts::Selection::kGroupLimited;
  if (!by_groups && (key.starts_with("moe.router.group") || key == "moe.router.top_groups")) return false;
  return key != "moe.router.sinkhorn_iterations" ||
         model.moe.router.selection == experts::Selection::kSinkhorn;
}

/// Numbers that were computed on the way there and back may differ in the last digits.
bool same_value(const std::string& one, const std::string& other) {
  if (one == other) return true;
  const json a = json_of(one);
  const json b = json_of(other);
  if (!a.is_number() || !b.is_number()) return false;
  const double x = a.get<double>();
  const double y = b.get<double>();
  return std::abs(x - y) <= 1e-9 * std::max(std::abs(x), std::abs(y));
}

void compare(const std::string& prefix, const OptionTexts& one, const OptionTexts& other,
             std::vector<std::string>& found) {
  for (const auto& [key, text] : one) {
    const auto there = other.find(key);
    const std::string& theirs = there == other.end() ? "absent" : there->second;
    if (!same_value(theirs, text))
      found.push_back(fmt::format("model.{}{}: {}, {}", prefix, key, text, theirs));
  }
}

OptionTexts compared_texts(const model::ModelOptions& model) {
  OptionTexts texts = texts_of(model);
  std::erase_if(texts, [&](const auto& entry) { return !is_compared(entry.first, model); });
  texts["moe layers"] = std::to_string(model::moe_layers(model));
  return texts;
}

/// What kind is, kv_heads says too.
OptionTexts mixer_texts(const model::LayerSpec& layer) {
  OptionTexts texts = texts_of(layer.mixer);
  std::string& kind = texts["kind"];
  if (kind == "mha" || kind == "mqa") kind = "gqa";
  return texts;
}

/// With the first layer's mixer as `attention`: where layers are alike in something, as it is.
OptionTexts texts_with_first_mixer(model::ModelOptions model) {
  model.attention = model::layer_mixers(model).front();
  return texts_of(model);
}

/// What the model was made for, unless that is too much for a start.
std::int64_t usual_length(ConfigReader& reader, const Family& family) {
  constexpr std::int64_t kMost = 2048;
  return std::clamp<std::int64_t>(reader.integer(family.length_key, kMost), 1, kMost);
}

configs::RunConfig config_of(const std::vector<std::string>& overrides, const std::string& file) {
  try {
    return configs::parse_config("", file, overrides);
  } catch (const configs::ConfigError& error) {
    std::vector<std::string> messages;
    for (const configs::Problem& problem : error.problems()) messages.push_back(problem.message);
    throw Error(ErrorCode::kConfig, "{}: {}", file, fmt::join(messages, "\n"));
  }
}

}  // namespace

ReadConfig parse_config(const json& config, const std::string& file, std::int64_t sequence_length) {
  ConfigReader reader(config, file);
  const json type = reader.require_any({"model_type"});
  ReadConfig read;
  try {
    read.family = &family_named(type.is_string() ? type.get<std::string>() : type.dump());
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, "{}: model_type: {}", file, error.what());
  }
  OptionTexts options;
  for (const Aspect& aspect : read.family->aspects) aspect.read(reader, options);
  std::vector<std::string> overrides;
  for (const auto& [key, text] : options) overrides.push_back(fmt::format("model.{}={}", key, text));
  const std::int64_t usual = usual_length(reader, *read.family);
  reader.require_all_taken();
  overrides.push_back(fmt::format("data.sequence_length={}", sequence_length > 0 ? sequence_length : usual));
  read.run = config_of(overrides, file);
  return read;
}

ReadConfig read_config(const std::filesystem::path& path, std::int64_t sequence_length) {
  const json config = json::parse(read_file(path, kMaximumConfigBytes), nullptr, /*allow_exceptions=*/false);
  if (config.is_discarded()) throw Error(ErrorCode::kConfig, "{}: it is not valid JSON", path.string());
  return parse_config(config, path.string(), sequence_length);
}

ordered_json write_config(const Family& family, const model::ModelOptions& options, std::int64_t vocab_size,
                          std::int64_t length) {
  model::ModelOptions model = options;
  model.vocab_size = vocab_size;
  model.ffn.intermediate_size = model::ffn_width(model);
  ordered_json config{{"architectures", {family.architecture}}, {"model_type", family.model_type}};
  const OptionTexts texts = texts_with_first_mixer(model);
  for (const Aspect& aspect : family.aspects) aspect.write(model, texts, config);
  if (!config.contains(family.length_key)) config[family.length_key] = length;
  const std::string what = fmt::format("a config.json of type '{}'", family.model_type);
  std::vector<std::string> lost;
  try {
    lost = differences(model, parse_config(json(config), what).run.model);
  } catch (const Error& error) {
    throw Error(ErrorCode::kConfig, "{} cannot say this model: {}", what, error.what());
  }
  if (lost.empty()) return config;
  throw Error(ErrorCode::kConfig, "{} cannot say this model; here, and read back from there:\n  {}", what,
              fmt::join(lost, "\n  "));
}

const Family& family_for(const model::ModelOptions& options, std::int64_t vocab_size) {
  std::string reasons;
  for (const Family& family : families()) {
    try {
      static_cast<void>(write_config(family, options, vocab_size, 2));
      return family;
    } catch (const Error& error) {
      reasons += fmt::format("\n{}", error.what());
    }
  }
  throw Error(ErrorCode::kConfig, "no type of model that is known can say this one:{}", reasons);
}

std::vector<std::string> differences(const model::ModelOptions& one, const model::ModelOptions& other) {
  std::vector<std::string> found;
  compare("", compared_texts(one), compared_texts(other), found);
  for (std::int64_t layer = 0; layer < std::min(one.layers, other.layers) && found.empty(); ++layer) {
    compare(fmt::format("attention of layer {}: ", layer), mixer_texts(model::layer_spec(one, layer)),
            mixer_texts(model::layer_spec(other, layer)), found);
  }
  return found;
}

}  // namespace troupe::conversion
