#include "conversion/config_json.h"

#include <fmt/ranges.h>

#include "base/error.h"
#include "configs/option_list.h"

namespace troupe::conversion {
namespace {

template <class Options>
OptionTexts listed(const Options& options) {
  Options copy = options;
  OptionTexts texts;
  for (const configs::OptionInfo& option :
       configs::list_options([&](Fields& fields) { describe(fields, copy); })) {
    if (option.kind != configs::OptionInfo::Kind::kOption) continue;
    texts[option.key] = option.value;
    // Other programs tell 4 from 4.0.
    const json value = json_of(option.value);
    if (option.type.starts_with("a number") && value.is_number())
      texts[option.key] = text(value.get<double>());
  }
  return texts;
}

}  // namespace

OptionTexts texts_of(const model::ModelOptions& options) { return listed(options); }
OptionTexts texts_of(const model::AttentionOptions& options) { return listed(options); }

std::optional<std::string> text_of(const json& value) {
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (value.is_string()) return value.get<std::string>();
  return std::nullopt;
}

std::string text(std::int64_t value) { return std::to_string(value); }
std::string text(double value) { return json(value).dump(); }

json json_of(const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return value.is_boolean() || value.is_number() ? value : json(text);
}

ConfigReader::ConfigReader(json config, std::string file)
    : config_(std::move(config)), file_(std::move(file)) {
  if (!config_.is_object()) throw Error(ErrorCode::kConfig, "{}: it is not a JSON object", file_);
}

void ConfigReader::refuse_text(const std::string& key, const std::string& reason) const {
  throw Error(ErrorCode::kConfig, "{}: {}: {}", file_, key, reason);
}

json ConfigReader::take(const std::string& key) {
  taken_.insert(key);
  const auto found = config_.find(key);
  return found == config_.end() ? json() : *found;
}

json ConfigReader::take_any(const std::vector<std::string>& keys) {
  json value;
  std::string of;
  for (const std::string& key : keys) {
    json other = take(key);
    if (other.is_null()) continue;
    if (!value.is_null() && value != other)
      refuse(key, "it is {}, but {} is {}", other.dump(), of, value.dump());
    value = std::move(other);
    of = key;
  }
  return value;
}

json ConfigReader::require_any(const std::vector<std::string>& keys) {
  json value = take_any(keys);
  if (value.is_null()) refuse(keys.front(), "it is missing");
  return value;
}

std::int64_t ConfigReader::require_integer(const std::string& key) {
  const json value = require_any({key});
  if (!value.is_number_integer()) refuse(key, "{} is no integer", value.dump());
  return value.get<std::int64_t>();
}

std::int64_t ConfigReader::integer(const std::string& key, std::int64_t absent) {
  return take(key).is_null() ? absent : require_integer(key);
}

double ConfigReader::number(const std::string& key, double absent) {
  const json value = take(key);
  if (value.is_null()) return absent;
  if (!value.is_number()) refuse(key, "{} is no number", value.dump());
  return value.get<double>();
}

bool ConfigReader::flag(const std::string& key, bool absent) {
  const json value = take(key);
  if (value.is_null()) return absent;
  if (!value.is_boolean()) refuse(key, "{} is neither true nor false", value.dump());
  return value.get<bool>();
}

void ConfigReader::require_all_taken() const {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config_.items()) {
    if (!taken_.contains(key)) unknown.push_back(fmt::format("{} = {}", key, value.dump()));
  }
  if (unknown.empty()) return;
  throw Error(ErrorCode::kConfig, "{}: what these keys mean for the model is not known here: {}", file_,
              fmt::join(unknown, ", "));
}

}  // namespace troupe::conversion
